"""``schemagate audit report``: a file to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.support import builders as make
from webhook.cli.main import run
from webhook.policy.names import ENFORCE


@pytest.fixture
def objects(write: Callable[..., Path]) -> Path:
    other = make.merged(make.deployment(), {"metadata": {"namespace": "team-b", "name": "edge"}})
    maps = make.merged(make.config_map(), {"metadata": {"namespace": "team-b"}})
    return write(make.namespace(**{ENFORCE: "reject"}), make.config_map(), make.deployment(), other, maps)


def test_files_make_a_report(cli: Cli, objects: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    done = cli("audit", "report", "--objects", objects, "-o", target)
    assert (done.code, done.out) == (0, "")
    assert f"wrote {target}" in done.err
    page = target.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "1 of 2" in page
    assert str(objects) in page
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".html"] == ["report.html"]


def test_a_namespace_leaves_out_the_others(cli: Cli, objects: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert (
        cli("audit", "report", "--objects", objects, "-n", "team-b", "-o", target, "--title", "<prod>").code == 0
    )
    page = target.read_text(encoding="utf-8")
    assert "0 of 1" in page
    assert "team-a" not in page
    assert "&lt;prod&gt;" in page


def test_it_goes_to_standard_output(objects: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["audit", "report", "--objects", str(objects), "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"<!doctype html>\n")
    assert out.endswith(b"</html>\n")
    assert err == b""


def test_an_old_report_is_replaced(cli: Cli, objects: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    assert cli("audit", "report", "--objects", objects, "-o", target).code == 0
    assert target.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--objects", "x"), "Missing option '-o'"),
        (("--objects", "x", "-o", "r", "--context", "c"), "stands for a cluster"),
        (("-A", "-n", "team-a", "-o", "r"), "give no -n"),
    ],
)
def test_bad_usage_is_told(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli("audit", "report", *arguments)
    assert (done.code, said in done.err) == (2, True), done.err


def test_what_cannot_be_written_is_one_line(cli: Cli, objects: Path, tmp_path: Path) -> None:
    target = tmp_path / "none" / "report.html"
    done = cli("audit", "report", "--objects", objects, "-o", target)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"schemagate: cannot write {target}: No such file")
