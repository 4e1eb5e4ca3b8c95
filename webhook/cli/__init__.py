"""The ``schemagate`` command."""
