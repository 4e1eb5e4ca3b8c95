"""Entry point of the ``schemagate`` command and of ``python -m webhook``."""

import sys

from webhook.cli.main import run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
