"""`python -m tests.gateway`: fetch and build what the tests here need; `--image`: the images for a node too."""

import argparse
import sys

from tests.gateway import image, programs
from tests.node.machine import MachineError


def main() -> int:
    """Prepare everything and print where it lies; an error is one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.gateway", description=__doc__)
    parser.add_argument("--image", action="store_true", help="build the images too: as root, after `tests.node`")
    chosen = parser.parse_args()
    try:
        sys.stdout.write(f"{programs.build()}\n")
        if chosen.image:
            sys.stdout.write(f"{image.build()}\n")
    except (programs.NotBuiltError, MachineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
