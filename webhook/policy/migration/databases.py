"""Which database a migration belongs to, so that each has one at a time: by its URL, or by where that lies."""

import hashlib

from webhook.policy.inputs import MigrationInputs
from webhook.policy.record import Record

_LABEL_DIGITS = 16


def database_key(record: Record, inputs: MigrationInputs) -> str:
    """Name the database of a record's inputs: by namespace and place of its URL where that is not read."""
    return inputs.database or f"{record.namespace}/{inputs.jdbc_url}"


def known_database(key: str) -> str:
    """Give the key of a known database, and nothing for one that a namespace and a place stand for.

    What is known begins with host and port, or with its kind and a colon: no namespace has one.
    """
    return key if ":" in key.partition("/")[0] else ""


def database_label(key: str) -> str:
    """Give the value of a Job's label for its database: it outlives the record that says so in full."""
    return hashlib.sha256(key.encode()).hexdigest()[:_LABEL_DIGITS]
