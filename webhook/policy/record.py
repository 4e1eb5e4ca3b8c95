"""The record of a Gateway's migrations (``GatewayMigration``), as a value.

One definition serves all: the rules read it, pydantic checks what a user wrote and gives the schema. Frozen
dataclasses with slots, since ten thousand of them live in a cache and dictionaries would make the garbage
collector the slowest part of an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from webhook.errors import InvalidObjectError
from webhook.policy.names import MANAGED_BY, PRODUCT, RECORD_API_VERSION, RECORD_KIND, RETRY
from webhook.policy.objects import ObjectMeta, view, without_nulls

_WIRE = ConfigDict(alias_generator=to_camel)
_TOLD_BY_US = {
    "unexpected_keyword_argument": "there is no such field",
    "dataclass_type": "Input should be an object",
}
KEPT = 20
"""How many completed hashes, and how many rejections, a record keeps: the newest."""


class Mode(StrEnum):
    """What happens to a rollout whose migration is not complete."""

    REJECT = "Reject"
    HOLD = "Hold"
    WARN = "Warn"
    AUDIT = "Audit"


class Runner(StrEnum):
    """Who runs the migration Job."""

    SCHEMAGATE = "Schemagate"
    EXTERNAL = "External"


class FirstInstall(StrEnum):
    """Who migrates for a Deployment that does not exist yet."""

    MIGRATE = "Migrate"
    GATEWAY = "Gateway"


class LogLevel(StrEnum):
    """``LIQUIBASE_LOG_LEVEL`` of a Gateway."""

    OFF = "off"
    FINE = "fine"
    INFO = "info"
    WARNING = "warning"
    SEVERE = "severe"


class Phase(StrEnum):
    """Where a migration stands."""

    PENDING = "Pending"
    WAITING = "Waiting"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"
    DISABLED = "Disabled"


class Evidence(StrEnum):
    """How it is known that a hash is complete."""

    JOB = "Job"
    ADOPTED = "Adopted"
    EXTERNAL = "External"


class FailureClass(StrEnum):
    """What kind of failure stopped a migration."""

    IMAGE_PULL = "ImagePull"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    AUTH_FAILED = "AuthFailed"
    LOCK_HELD = "LockHeld"
    CHANGESET_FAILED = "ChangesetFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"
    EVIDENCE_TAMPERED = "EvidenceTampered"
    INVALID_INPUTS = "InvalidInputs"
    JOB_VANISHED = "JobVanished"
    UNKNOWN = "Unknown"


class _Wire:
    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = _WIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSpec(_Wire):
    """What the user asks for."""

    enabled: bool = True
    jdbc_url: Annotated[str, Field(max_length=4096)] = ""
    clear_locks: bool = False
    active_deadline_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    liquibase_log_level: LogLevel | None = None
    mode: Mode | None = None
    runner: Runner | None = None
    first_install: FirstInstall | None = None
    pod_attempts: Annotated[int, Field(ge=1, le=10)] = 2
    image: Annotated[str, Field(max_length=1024)] = ""
    gateway_version: Annotated[str, Field(max_length=64)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(_Wire):
    """A hash whose migration is complete, and how that is known."""

    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    image: str = ""
    image_id: Annotated[str, Field(alias="imageID")] = ""
    database: str = ""
    time: AwareDatetime | None = None
    evidence: Evidence = Evidence.JOB
    job_uid: Annotated[str, Field(alias="jobUID")] = ""
    pod_uid: Annotated[str, Field(alias="podUID")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReference(_Wire):
    """The Job of the attempt under way, or of the last one. ``uid`` is empty until the Job is created."""

    name: str
    uid: str = ""
    hash: str = ""
    attempts: int = 1
    image: str = ""
    database: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Wire):
    """Why a migration failed; ``log_tail`` is redacted. ``classification`` is ``class`` on the wire."""

    classification: Annotated[FailureClass, Field(alias="class")] = FailureClass.UNKNOWN
    message: str = ""
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection(_Wire):
    """One rollout that was turned away, with how often and by whom it was tried."""

    hash: str = ""
    reason: str = ""
    user: str = ""
    from_image: str = ""
    to_image: str = ""
    count: int = 1
    first: AwareDatetime | None = None
    last: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections(_Wire):
    """All rollouts turned away: the count is of all, ``newest`` holds the last distinct ones, newest first."""

    count: int = 0
    first: AwareDatetime | None = None
    last: AwareDatetime | None = None
    newest: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(_Wire):
    """A metav1.Condition."""

    type: str
    status: str
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStatus(_Wire):
    """What schemagate observed; nobody else may write it. ``completed_hashes`` is newest first."""

    observed_generation: int = 0
    phase: Phase | None = None
    spec_hash: str = ""
    complete: bool = False
    image: str = ""
    jdbc_url: str = ""
    completed_hashes: Annotated[tuple[Completion, ...], Field(max_length=KEPT)] = ()
    job: JobReference | None = None
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime | None = None
    failure: Failure | None = None
    rejections: Rejections = field(default_factory=Rejections)
    conditions: tuple[Condition, ...] = ()

    def completion(self, spec_hash: str) -> Completion | None:
        """Give the completion of exactly this hash (64 hex digits), or None."""
        return next((done for done in self.completed_hashes if done.hash == spec_hash), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored GatewayMigration: as named as its Deployment. ``managed`` when schemagate made it."""

    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 1
    managed: bool = False
    retry: str = ""
    spec: RecordSpec = field(default_factory=RecordSpec)
    status: RecordStatus = field(default_factory=RecordStatus)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], *, strict: bool = False) -> "Record":
        """Read a GatewayMigration; InvalidObjectError names each bad field and what it takes.

        ``strict`` refuses unknown fields too, for objects that a person just wrote. What an API server
        stored may come from a newer version of the product, so there they are ignored.
        """
        try:
            meta = view(ObjectMeta, manifest.get("metadata") or {})
        except msgspec.ValidationError as error:
            raise InvalidObjectError(f"metadata: {error}") from None
        return cls(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resource_version,
            generation=meta.generation or 1,
            managed=(meta.labels or {}).get(MANAGED_BY) == PRODUCT,
            retry=meta.annotation(RETRY) or "",
            spec=read_spec(manifest.get("spec") or {}, strict=strict),
            status=_validated(_STATUS, "status", manifest.get("status") or {}, strict=strict),
        )

    def to_manifest(self) -> dict[str, Any]:
        """Give the wire form."""
        meta: dict[str, Any] = {"namespace": self.namespace, "name": self.name}
        optional = {
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "generation": self.generation,
            "labels": {MANAGED_BY: PRODUCT} if self.managed else {},
            "annotations": {RETRY: self.retry} if self.retry else {},
        }
        meta |= {key: value for key, value in optional.items() if value}
        return {
            "apiVersion": RECORD_API_VERSION,
            "kind": RECORD_KIND,
            "metadata": meta,
            "spec": _SPEC.dump_python(self.spec, mode="json", by_alias=True, exclude_defaults=True),
            "status": _STATUS.dump_python(self.status, mode="json", by_alias=True, exclude_defaults=True),
        }


_SPEC = TypeAdapter(RecordSpec)
_STATUS = TypeAdapter(RecordStatus)


def read_spec(fields: Mapping[str, Any], *, strict: bool = False) -> RecordSpec:
    """Read a record's spec from its wire form; InvalidObjectError names each bad field and what it takes."""
    spec: RecordSpec = _validated(_SPEC, "spec", fields, strict=strict)
    return spec


def _validated(adapter: TypeAdapter[Any], part: str, fields: Mapping[str, Any], *, strict: bool) -> Any:
    try:
        return adapter.validate_python(without_nulls(fields), extra="forbid" if strict else "ignore")
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(step) for step in (part, *problem['loc']))}: "
            f"{_TOLD_BY_US.get(problem['type'], problem['msg'])}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise InvalidObjectError("; ".join(problems)) from None
