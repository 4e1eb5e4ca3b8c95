"""What all parts of a record share: how they look on the wire, and how long things may get.

Every text and list of a status has a bound, for the sake of etcd and of the API server's estimate of what a rule
costs. None of them may be in the way of what schemagate writes: a status that is refused stands still.
"""

from enum import StrEnum
from typing import ClassVar, Final

from pydantic import BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

KEPT: Final = 20
"""How many completed hashes, and how many rejections, a record keeps: the newest."""
BATCHES_KEPT: Final = 64
"""Of how many batches of rejections a record knows that it holds them: more than may be under way."""

UID_LIMIT: Final = 128
NAME_LIMIT: Final = 253
HASH_LIMIT: Final = 64
SHORT_HASH_LIMIT: Final = 16
IMAGE_LIMIT: Final = 1024
REASON_LIMIT: Final = 512
USER_LIMIT: Final = 256
GROUP_LIMIT: Final = 256
GROUPS_KEPT: Final = 5
"""How many groups of a user a rejection keeps."""
BYPASS_REASON_LIMIT: Final = 256
URL_LIMIT: Final = 8192
"""A JDBC URL has 4096 characters at most, but names of Secrets may stand in it for what is not read."""
DATABASE_LIMIT: Final = 16384
"""Every host of a URL gets its port here, and may itself be only two characters long."""
MESSAGE_LIMIT: Final = 32768
"""The bound of a metav1.Condition: the message of a failure, which it repeats, may name many ConfigMaps."""
LOG_LIMIT: Final = 8192


class Wire:
    """A part of a record: camelCase on the wire."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(alias_generator=to_camel)


def lenient(kind: type[StrEnum], instead: StrEnum | None) -> BeforeValidator:
    """Read a word that is not of this kind as another: a newer version may have written it.

    After its downgrade, a status that cannot be read would hide the whole record, and with it what is guarded.
    """

    def known(value: object) -> object:
        return instead if isinstance(value, str) and value not in set(kind) else value

    return BeforeValidator(known)
