"""Where the browser comes from, and what is said when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser import programs


def test_without_a_browser_the_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(programs.NotFetchedError, match="make browser"):
        programs.chromium()


def test_one_that_somebody_has_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    assert programs.chromium().program == tmp_path / "chromium"
    assert programs.fetch() == tmp_path / "chromium"


def test_without_node_the_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(programs.NotFetchedError, match=r"requirements/browser\.txt"):
        programs.fetch()
    assert list((tmp_path / "schemagate" / "browser").iterdir()) == [tmp_path / "schemagate" / "browser" / "lock"]


def test_everything_that_is_fetched_is_pinned_by_hash_and_names_no_registry() -> None:
    lock = json.loads((programs.HERE / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert "node_modules/@sparticuz/chromium" in packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
