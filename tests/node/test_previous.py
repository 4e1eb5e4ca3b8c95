"""Where the version comes from that the others upgrade from."""

from pathlib import Path

import pytest
import yaml

from tests.controlplane.binaries import NotBuiltError
from tests.node import previous, product


def test_it_is_whole_and_its_overlay_names_its_image(tmp_path: Path) -> None:
    source = previous.extract(tmp_path)
    assert all((source / part).exists() for part in product.INPUTS)
    told = yaml.safe_load((previous.overlay(source) / "kustomization.yaml").read_text())
    assert told["images"] == [{"name": "schemagate", "newTag": "previous"}]
    assert (source / "manifests" / "overlays" / "previous" / told["resources"][0] / "kustomization.yaml").exists()


def test_its_image_is_another_than_that_of_this_tree_even_where_nothing_changed() -> None:
    assert product.path_of(product.ROOT, previous.NAME) != product.path_of(product.ROOT, product.NAME)


def test_a_commit_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMAGATE_UPGRADE_FROM", "no-such-commit")
    with pytest.raises(NotBuiltError, match=r"no commit to upgrade from .*no-such-commit.*name one of this"):
        previous.extract(tmp_path)


def test_an_image_that_is_not_built_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = previous.extract(tmp_path / "source")
    with pytest.raises(NotBuiltError, match="run `make e2e` as root"):
        previous.archive(source)
