"""The manifests that are generated are what the program says they are."""

import yaml

from tests.docs.generate import CRD, CRD_HEADER, crd
from webhook.policy.definition import definition


def test_the_definition_is_in_step_with_the_code() -> None:
    assert CRD.read_text(encoding="utf-8") == crd(), "manifests/base/20-crd.yaml is out of step: run `make docs`"


def test_its_manifest_says_what_the_code_says() -> None:
    assert yaml.safe_load(crd()) == definition()


def test_it_says_where_it_comes_from_and_repeats_nothing_by_reference() -> None:
    assert crd().startswith(CRD_HEADER)
    assert "&id" not in crd()
