"""Entry point of the ``schemagate`` command and of ``python -m webhook``."""


def main() -> None:
    """Run the command line."""


if __name__ == "__main__":
    main()
