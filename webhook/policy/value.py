"""The base of the small values that every request makes a dozen of."""

import msgspec


class Value(msgspec.Struct, frozen=True, gc=False):
    """A frozen value, several times cheaper to make than a frozen dataclass.

    It is left out of garbage collection, so it may hold no reference back to itself; what is built from the parts
    of a request never does.
    """
