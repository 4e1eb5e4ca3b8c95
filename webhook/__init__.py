"""schemagate: lets a Layer7 API Gateway roll out only after its database migration is complete."""

__version__ = "0.1.0"
