"""The kustomization that the quick start shows renders with the image that it names, and every overlay is told."""

import re
from pathlib import Path

from tests.manifests.rendering import MANIFESTS, OVERLAYS, kustomized
from webhook import __version__

TEXT = (MANIFESTS.parent / "docs" / "quickstart.md").read_text(encoding="utf-8")


def test_the_kustomization_of_the_page_names_the_image(tmp_path: Path) -> None:
    (shown,) = re.findall(r"(?s)```yaml\n(.*?)```", TEXT)
    (tmp_path / "schemagate").symlink_to(MANIFESTS.parent)
    (tmp_path / "kustomization.yaml").write_text(shown, encoding="utf-8")
    images = [
        container["image"]
        for document in kustomized(tmp_path)
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]
    assert images == [f"registry.example.com/schemagate:{__version__}"] * 2


def test_the_page_tells_every_overlay() -> None:
    table = TEXT.partition("## Install by kustomize")[2]
    assert set(re.findall(r"(?m)^\| `([a-z-]+)` \|", table)) == set(OVERLAYS)
