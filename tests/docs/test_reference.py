"""The pages about metrics and the decision log are what the program says they are."""

import re
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from tests.docs.reference import (
    PAGES,
    SAMPLE,
    controller_registry,
    decision_log,
    labels_of,
    metrics,
    name_of,
    webhook_registry,
)
from webhook.audit.decisions import Line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_in_step_with_the_code(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page](), f"{page.name} is out of step: run `make docs`"


def test_every_field_of_a_line_is_described() -> None:
    text = decision_log()
    for field in msgspec.structs.fields(Line):
        assert re.search(rf"^\| `{field.encode_name}` \| [\w ]+ \| \S+", text, re.MULTILINE), field.name


def test_the_sample_is_a_line() -> None:
    sample = re.search(r"```json\n(.*?)```", decision_log(), re.DOTALL)
    assert sample
    assert msgspec.json.decode(sample[1], type=Line) == SAMPLE == SAMPLE.safe()


@pytest.mark.parametrize("registry", [webhook_registry(), controller_registry()], ids=["webhook", "controller"])
def test_every_metric_says_which_labels_it_has(registry: CollectorRegistry) -> None:
    text = metrics()
    assert ": ." not in text, "a label without values"
    for family in registry.collect():
        assert f"| `{name_of(family)}` | {family.type} | {', '.join(labels_of(family))} |" in text
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(labels_of(family)), family.name
