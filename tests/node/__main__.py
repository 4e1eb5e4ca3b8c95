"""`python -m tests.node`: install and build what the tests here need; prints the product's archive."""

import sys

from tests.controlplane import binaries
from tests.node import packages, previous, product
from tests.node.machine import MachineError


def main() -> int:
    """Prepare everything; an error is one line on stderr and exit code 1."""
    try:
        packages.install()
        binaries.build()
        binaries.build(binaries.NODE)
        previous.build()
        sys.stdout.write(f"{product.build()}\n")
    except (binaries.NotBuiltError, MachineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
