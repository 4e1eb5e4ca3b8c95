"""Partial objects: what is read, what is ignored, what is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import config_map, deployment, gateway, merged, namespace, pod
from webhook.policy.objects import ConfigMap, Deployment, Gateway, Namespace, Pod, View, view, without_nulls

KINDS: dict[type[View], dict[str, Any]] = {
    ConfigMap: config_map(),
    Deployment: deployment(),
    Gateway: gateway(),
    Namespace: namespace(),
    Pod: pod(),
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize("kind", KINDS)
@given(extra=st.dictionaries(st.text(min_size=1).map("x-".__add__), values))
def test_unknown_fields_anywhere_are_ignored(kind: type[View], extra: dict[str, Any]) -> None:
    manifest = KINDS[kind]
    grown = {
        **manifest,
        **extra,
        "metadata": manifest["metadata"] | extra,
        **({"spec": manifest["spec"] | extra} if "spec" in manifest else {}),
    }
    first, second = view(kind, manifest), view(kind, grown)
    assert msgspec.structs.replace(first) == second


@pytest.mark.parametrize("kind", KINDS)
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "data"]), values))
def test_any_manifest_is_read_or_refused_by_one_error(kind: type[View], manifest: dict[str, Any]) -> None:
    try:
        found = view(kind, manifest)
        if isinstance(found, Deployment):
            found.template()
    except msgspec.ValidationError as error:
        assert "$" in str(error) or str(error)


def test_a_wrong_type_is_told_with_its_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.spec\.paused"):
        view(Deployment, deployment(spec={"paused": "yes"}))


def test_nulls_are_absent() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 0}], "e": {}}) == {"b": [{"d": 0}], "e": {}}
    assert view(Pod, {"metadata": None, "spec": {"containers": None}}) == Pod()


def test_raw_nulls_of_go_lists_are_read() -> None:
    wire = b'{"spec":{"containers":null,"volumes":null},"metadata":{"labels":null,"ownerReferences":null}}'
    assert msgspec.json.decode(wire, type=Pod) == Pod()


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_templates_are_compared_whatever_the_order_of_keys() -> None:
    base = view(Deployment, deployment())
    other = msgspec.json.decode(json.dumps(shuffled(deployment())).encode(), type=Deployment)
    assert base.same_template(other)
    changed = merged(deployment(), {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 9}}}})
    assert not base.same_template(view(Deployment, changed))


def test_a_deployment_without_a_template_has_an_empty_one() -> None:
    assert view(Deployment, {}).template().spec.containers is None
