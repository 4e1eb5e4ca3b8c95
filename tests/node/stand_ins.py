"""The images of `manifests/kind/stand-in` by its own Dockerfile, from the product's archive; buildah, as root."""

from pathlib import Path
from typing import Final

from tests.live.deployed import MANIFESTS
from tests.node import product

FOLDER: Final = MANIFESTS / "kind" / "stand-in"
NAME: Final = "gateway-stand-in:11.2.5"


def archive(folder: Path) -> Path:
    """Build on what the tests run, as `make kind-up` does with docker, and write an archive into a folder."""
    target = folder / "stand-in.tar"
    product.buildah("pull", "--quiet", f"docker-archive:{product.archive()}")
    try:
        product.buildah("bud", "--pull-never", f"--build-arg=BASE={product.NAME}", f"--tag={NAME}", str(FOLDER))
        product.buildah("push", "--quiet", NAME, f"docker-archive:{target}:{NAME}")
    finally:
        product.buildah("rmi", "--force", product.NAME, NAME)
    return target
