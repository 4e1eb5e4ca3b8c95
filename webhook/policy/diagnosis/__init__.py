"""Would an API server reach this installation, and would it decide: the checks of ``schemagate doctor``."""
