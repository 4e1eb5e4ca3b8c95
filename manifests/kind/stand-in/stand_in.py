"""A stand-in for a Gateway: it has no schema, tells how it was started, and listens until it is told to end."""

import os
import signal
import socket
import sys

PORT = 8443
MIGRATE_ONLY = "-Dgateway.db.schema-update.mode=liquibase-only"


def main() -> None:
    """Do as a Gateway with these arguments would: migrate and end, or serve."""
    arguments = os.environ.get("EXTRA_JAVA_ARGS", "")
    sys.stdout.write(f"started with EXTRA_JAVA_ARGS={arguments}\n")
    if MIGRATE_ONLY in arguments:
        sys.stdout.write("a Gateway would migrate its schema now, and end\n")
        return
    # The first process of a container ignores signals that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.create_server(("", PORT)) as server:
        while True:
            server.accept()[0].close()


if __name__ == "__main__":
    main()
