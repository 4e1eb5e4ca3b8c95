"""CSV as a spreadsheet takes it."""

import csv
import io

import pytest

from tests.audit.formats.examples import ENDED, HOSTILE, REFUSAL, SCAN, hostile_refusal
from webhook.audit.formats.separated import rejections_csv, scan_csv


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_scan_is_a_line_for_each_finding() -> None:
    rows = read(scan_csv(SCAN))
    assert [row["rule"] for row in rows] == ["IncompleteHash", "Ungoverned", "UnsupportedVersion"]
    assert rows[2]["subject"] == "Pod/old-1"


def test_rejections_are_a_line_each() -> None:
    first, second = read(rejections_csv([REFUSAL, ENDED]))
    assert (first["user"], first["groups"], first["times"], first["passes"]) == ("alice", "devs ops", "3", "false")
    assert (second["ended"], second["passes"], second["first"]) == ("Migrated", "true", "")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = read(rejections_csv([hostile_refusal(text)]))
    for cell in row.values():
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
        assert cell.isprintable()


def test_what_is_no_formula_stays_as_it_is() -> None:
    (row,) = read(rejections_csv([REFUSAL]))
    assert row["from"] == "docker.io/caapim/gateway:11.2.2"
