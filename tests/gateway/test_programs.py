"""Nothing is taken that is not pinned, and what is missing is said with the command that brings it."""

from pathlib import Path

import pytest

from tests.gateway import programs


def pinned() -> dict[str, str]:
    lines = (programs.STANDIN / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def test_a_file_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    for name in pinned():
        (tmp_path / name).write_bytes(b"another")
    with pytest.raises(programs.NotBuiltError, match=r"not what SHA256SUMS names: commons-.*snakeyaml"):
        programs.check(tmp_path)


def test_a_file_that_nobody_pinned_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stranger.jar").touch()
    with pytest.raises(programs.NotBuiltError, match=r"stranger\.jar"):
        programs.check(tmp_path)


def test_what_is_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(programs.NotBuiltError, match="make gateway"):
        programs.require()
