import subprocess
import sys

import certs


def test_the_public_names_are_sorted_and_exist() -> None:
    assert sorted(certs.__all__) == certs.__all__
    assert all(hasattr(certs, name) for name in certs.__all__)


def test_only_the_standard_library_and_cryptography_are_imported() -> None:
    code = "import certs, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(run.stdout.split()) - set(sys.stdlib_module_names)
    assert not foreign & {"webhook", "aiohttp", "pydantic", "structlog", "kubernetes_asyncio", "yaml"}
    assert "cryptography" in foreign
