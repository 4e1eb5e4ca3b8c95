"""JSON Patch on the wire."""

import json

import jsonpatch
from hypothesis import given
from hypothesis import strategies as st

from webhook.policy.patch import Operation, encode_patch, pointer


def test_a_pointer_escapes_what_it_must() -> None:
    assert pointer("metadata", "annotations", "a~b/c", 0) == "/metadata/annotations/a~0b~1c/0"
    assert pointer() == ""


def test_a_removal_has_no_value_and_an_addition_of_null_has() -> None:
    wire = json.loads(
        encode_patch([Operation("remove", "/a"), Operation("add", "/b"), Operation("add", "/c", [1])])
    )
    assert wire == [
        {"op": "remove", "path": "/a"},
        {"op": "add", "path": "/b", "value": None},
        {"op": "add", "path": "/c", "value": [1]},
    ]


@given(st.text(), st.text())
def test_any_key_round_trips(key: str, value: str) -> None:
    step = Operation("add", pointer("metadata", key), value)
    assert jsonpatch.apply_patch({"metadata": {}}, json.loads(encode_patch([step]))) == {"metadata": {key: value}}
