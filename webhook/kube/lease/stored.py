"""A Lease as an object: how it reads and writes, and when it may be taken. Pure: times come in as values."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook.errors import InvalidObjectError

API_VERSION = "coordination.k8s.io/v1"
LONGEST = 3600
"""Seconds of the longest ``leaseDurationSeconds`` that is believed; a larger one counts as not given."""

Life = tuple[str, object, object]
"""What changes with every renewal: holder, acquireTime and renewTime, as written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as the API server gave it; ``holder`` is "" when nobody has it, ``seconds`` None when unreadable."""

    manifest: Mapping[str, Any]
    version: str
    holder: str
    seconds: float | None
    transitions: int
    life: Life
    released: bool
    """Whether its last holder gave it up; False for one that was wiped, or never filled in."""


def read_lease(body: bytes) -> Lease:
    """Read a Lease; InvalidObjectError when it cannot even be overwritten, for want of a resourceVersion.

    A spec that makes no sense is one that names no holder.
    """
    try:
        manifest = json.loads(body)
        version = manifest["metadata"]["resourceVersion"]
    except (ValueError, RecursionError, TypeError, LookupError):
        version = None
    if not isinstance(version, str) or not version:
        raise InvalidObjectError("the answer is no Lease: metadata.resourceVersion is missing")
    spec = _spec(manifest)
    holder = spec.get("holderIdentity")
    sound = holder is None or isinstance(holder, str)
    name = holder if isinstance(holder, str) else ""
    return Lease(
        manifest=manifest,
        version=version,
        holder=name,
        seconds=_whole(spec.get("leaseDurationSeconds"), 1, LONGEST),
        transitions=_whole(spec.get("leaseTransitions"), 0, 2**31 - 2) or 0,
        life=(name, spec.get("acquireTime"), spec.get("renewTime")),
        released=sound and not name and isinstance(spec.get("renewTime"), str),
    )


def _spec(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = manifest.get("spec")
    return spec if isinstance(spec, dict) else {}


def _whole(value: object, least: int, most: int) -> int | None:
    """Give a whole number between bounds, or None; True is none."""
    return value if type(value) is int and least <= value <= most else None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a candidate last saw, and since when on its own steady clock it has not changed.

    ``life`` is None for a Lease that is missing or wiped although somebody held it before. ``seconds`` is how long
    that must last until the Lease may be taken.
    """

    life: Life | None
    since: float
    seconds: float

    @property
    def free_at(self) -> float:
        """The moment from which the Lease may be taken, on the candidate's clock."""
        return self.since + self.seconds


def sight(before: Sighting | None, lease: Lease | None, now: float, seconds: float) -> Sighting | None:
    """Give what is known after reading ``lease`` (None: there is none) at ``now``; None when it is free.

    Nobody's clock but ours counts: a rival is gone when its Lease stood still for its whole duration (``seconds``
    when it names none). A Lease that vanished from under its holder, or was wiped, is not free at once: the holder
    may have renewed a moment before and notices only at its next renewal.
    """
    if lease is not None and lease.holder:
        if before is not None and before.life == lease.life:
            return before
        return Sighting(lease.life, now, lease.seconds or seconds)
    if before is None or (lease is not None and lease.released):
        return None
    return before if before.life is None else Sighting(None, now, seconds)


def holding(
    lease: Lease | None, where: tuple[str, str], identity: str, seconds: float, now: datetime, *, taking: bool
) -> dict[str, Any]:
    """Write a Lease that ``identity`` holds: renewed, or taken (``taking``) from another, from nobody or anew.

    ``where`` is namespace and name, ``now`` aware. Fields of the Lease that are not ours stay; its resourceVersion
    makes the write conditional.
    """
    stamp = micro_time(now)
    spec: dict[str, Any] = {
        "holderIdentity": identity,
        "leaseDurationSeconds": math.ceil(seconds),  # rounded up: others must not think us gone too early
        "renewTime": stamp,
    }
    if taking:
        spec["acquireTime"] = stamp
        spec["leaseTransitions"] = 0 if lease is None else lease.transitions + 1
    if lease is None:
        metadata = {"namespace": where[0], "name": where[1]}
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}
    return {**lease.manifest, "spec": {**_spec(lease.manifest), **spec}}


def releasing(lease: Lease, now: datetime) -> dict[str, Any]:
    """Write a Lease that nobody holds any more, as client-go releases it; ``now`` is aware."""
    spec = {
        **_spec(lease.manifest),
        "holderIdentity": "",
        "leaseDurationSeconds": 1,  # the least that validation allows
        "renewTime": micro_time(now),
    }
    return {**lease.manifest, "spec": spec}


def micro_time(moment: datetime) -> str:
    """Write an aware moment as a MicroTime of the API, such as ``2026-11-22T13:00:00.000000Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def later(moment: datetime, last: datetime | None) -> datetime:
    """Give ``moment``, or just after ``last`` when the wall clock stood still or went back.

    Others tell by the change of renewTime that we live: every renewal has to change it.
    """
    return moment if last is None or moment > last else last + timedelta(microseconds=1)
