"""What the checks look at, gathered before they are asked; Unread stands for what may not be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook.policy.diagnosis.line import Unread
from webhook.policy.diagnosis.rights import Right
from webhook.policy.record import Record

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is stored for the webhooks to show. ``problem`` says why nothing of it can be used, else it is empty.

    ``verified`` tells for each webhook whether its caBundle verifies it, at the API server's time.
    """

    secret: str
    problem: str = ""
    names: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    verified: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A Deployment of a Gateway that is too old to be guarded, created by a dry run: schemagate warns of it.

    ``refusal`` is the API server's answer where it was none of success; else it is empty.
    """

    namespace: str
    version: str
    warnings: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """ValidatingAdmissionPolicies and their bindings, all that there are."""

    policies: Sequence[Manifest] = ()
    bindings: Sequence[Manifest] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """Records, and Gateways as ``namespace/name``.

    Nothing asks to guard the ``ungoverned``; the record of the ``disabled`` turns the guard off. ``external``
    are the records whose migrations somebody else runs; ``doubled`` those that schemagate runs, and an operator
    is told to run too. ``unreadable`` are objects, as ``Kind namespace/name``, whose Gateways cannot be judged
    for it.
    """

    records: Sequence[Record] = ()
    ungoverned: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    external: frozenset[str] = frozenset()
    doubled: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    count: int = 0
    namespaces: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One installation, as one person sees it at one moment.

    ``server_time`` is the API server's, ``local_time`` that of whoever asks, at the same moment; where the API
    server tells none, it is not ``timed``, and both are ours. ``deployments`` holds webhook and controller by
    name, ``registrations`` each configuration by the word ``mutating`` or ``validating``, None where there is
    none. ``lease`` was read at ``lease_time`` of the API server's clock; it ``lease_moved`` when it looked old
    before that, and was renewed meanwhile. ``labels`` are those of every namespace. ``jobs`` are those whose
    name or label says that they migrate.
    """

    namespace: str
    server_time: datetime
    local_time: datetime
    timed: bool
    version: str
    deployments: Mapping[str, Manifest | None] | Unread
    definition: Manifest | Unread | None
    registrations: Mapping[str, Manifest | None] | Unread
    other_webhooks: tuple[str, ...] | Unread
    fence: Fence | Unread
    service: Manifest | Unread | None
    slices: Sequence[Manifest] | Unread
    certificate: Certificate | Unread
    canary: Canary | Unread
    rights: Mapping[Right, bool] | Unread
    almighty: tuple[str, ...]
    lease: Manifest | Unread | None
    lease_time: datetime
    lease_moved: bool
    labels: Mapping[str, Mapping[str, str]] | Unread
    gateways: Gateways | Unread
    jobs: Sequence[Manifest] | Unread
