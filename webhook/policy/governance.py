"""Who is governed, by what, and with which settings.

A pure function of record, Gateway, Deployment and namespace. The webhook asks it directly, so that a Deployment
created a moment after its Gateway is governed before the controller has written a record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from webhook.errors import InvalidObjectError
from webhook.policy.completions import ahead_of, completion_of
from webhook.policy.gateway import gateway_owner
from webhook.policy.gateway_resource import Gateway
from webhook.policy.image import GatewayVersion, image_version, knows_modes
from webhook.policy.inputs import MigrationInputs
from webhook.policy.names import (
    ACTIVE_DEADLINE_SECONDS,
    CLEAR_LOCKS,
    ENFORCE,
    JDBC_URL,
    LIQUIBASE_LOG_LEVEL_ANNOTATION,
    MIGRATION_JOB,
    MIGRATION_JOB_ENABLED,
)
from webhook.policy.objects import Namespace, ObjectMeta
from webhook.policy.record import (
    Completion,
    FirstInstall,
    LogLevel,
    Mode,
    Record,
    RecordSpec,
    RecordStatus,
    Runner,
    read_spec,
)
from webhook.policy.value import Value


class Source(StrEnum):
    """Where the wish to be governed comes from, strongest first."""

    RECORD = "Record"
    GATEWAY = "Gateway"
    DEPLOYMENT = "Deployment"
    NAMESPACE = "Namespace"


class Governance(Value, frozen=True):
    """How one Deployment is governed.

    ``spec`` is the effective one; ``mode``, ``first_install`` and ``runner`` are resolved through the namespace,
    the Gateway and the defaults. ``announced`` is an image that a Gateway or record already names as the target,
    so that its migration is on its way whatever becomes of the request; ``gateway_image`` is the Gateway's own,
    which wins once it moves on. ``problem`` says what an annotation has wrong.
    """

    source: Source
    spec: RecordSpec
    status: RecordStatus
    mode: Mode
    first_install: FirstInstall
    announced: str = ""
    gateway_image: str = ""
    problem: str | None = None
    runner: Runner = Runner.SCHEMAGATE

    @property
    def stops(self) -> bool:
        """Whether a rollout is kept from starting until its migration is complete."""
        return self.mode in {Mode.REJECT, Mode.HOLD}

    def problem_with(self, inputs: MigrationInputs) -> str | None:
        """Say why nothing can be told of these inputs, or give None when all is well."""
        return inputs.problem or self.problem

    def completed(self, inputs: MigrationInputs) -> Completion | None:
        """Give the completion that these inputs may go by; inputs with a problem are never complete."""
        return None if self.problem_with(inputs) else completion_of(self.status, inputs)

    def ahead_of(self, inputs: MigrationInputs) -> Completion | None:
        """Give the completion that took the schema further than these complete inputs need it, or None."""
        done = self.completed(inputs)
        return None if done is None else ahead_of(self.status, done)

    def too_old(self, inputs: MigrationInputs) -> GatewayVersion | None:
        """Give the version when it is known not to know the schema-update modes, else None."""
        version = image_version(inputs.image, self.spec.gateway_version)
        return version if knows_modes(version) is False else None


class Claims(Value, frozen=True):
    """All that governance depends on.

    ``deployments`` holds the new and the old metadata of the Deployment: an annotation dropped in the very
    update that it should guard against still counts.
    """

    record: Record | None = None
    gateway: Gateway | None = None
    deployments: Sequence[ObjectMeta] = ()
    namespace: Namespace | None = None
    default_mode: Mode = Mode.REJECT


def govern(claims: Claims) -> Governance | None:
    """Give the governance of a Deployment, or None when nothing asks for it or a user's record turns it off."""
    found = _source(claims)
    if found is None:
        return None
    source, spec, problem = found
    if not spec.enabled:
        return None
    gateway_image = claims.gateway.spec.app.image if claims.gateway else ""
    return Governance(
        source=source,
        spec=spec,
        status=claims.record.status if claims.record else RecordStatus(),
        mode=spec.mode or _namespace_mode(claims.namespace) or claims.default_mode,
        first_install=spec.first_install or _first_install(claims),
        announced=spec.image or gateway_image,
        gateway_image=gateway_image,
        problem=problem,
        runner=runner_of(spec, claims.gateway),
    )


def runner_of(spec: RecordSpec, gateway: Gateway | None) -> Runner:
    """Give who runs the migration Job.

    By default an operator that has one of its own, which it tells by its CRD: a stock one prunes ``migrationJob``,
    so that a Gateway that has it stored belongs to an operator that obeys it.
    """
    external = gateway is not None and gateway.is_migrated_by_operator
    return spec.runner or (Runner.EXTERNAL if external else Runner.SCHEMAGATE)


def source_spec(claims: Claims) -> tuple[Source, RecordSpec] | None:
    """Give the spec that the controller keeps in a managed record, or None when no source asks for one."""
    found = _wish(claims)
    return found[:2] if found else None


def _source(claims: Claims) -> tuple[Source, RecordSpec, str | None] | None:
    record = claims.record
    if record is not None and not record.managed:
        return Source.RECORD, record.spec, None
    wish = _wish(claims)
    if wish is None:
        # The source is gone, but the controller has not deleted the record yet: guard until it has.
        return (Source.RECORD, record.spec, None) if record else None
    if record is None:
        return wish
    # An announced image and per-record choices live on the record alone; the source rules the rest.
    source, spec, problem = wish
    return source, _merged(spec, record.spec), problem


@lru_cache(maxsize=1024)
def _merged(spec: RecordSpec, kept: RecordSpec) -> RecordSpec:
    return replace(
        spec,
        enabled=kept.enabled,
        image=kept.image,
        mode=kept.mode,
        runner=kept.runner,
        first_install=kept.first_install,
        rollback=kept.rollback,
        pod_attempts=kept.pod_attempts,
        gateway_version=kept.gateway_version or spec.gateway_version,
    )


def _wish(claims: Claims) -> tuple[Source, RecordSpec, str | None] | None:
    if claims.gateway is not None:
        if claims.gateway.is_migrated_by_operator:
            return _checked(Source.GATEWAY, _gateway_fields(claims.gateway))
        if _asks(claims.gateway.metadata):
            return _checked(Source.GATEWAY, _annotated_fields(claims.gateway.metadata))
    for meta in claims.deployments:
        if _asks(meta):
            return _checked(Source.DEPLOYMENT, _annotated_fields(meta))
    if _namespace_mode(claims.namespace) is not None:
        return Source.NAMESPACE, RecordSpec(), None
    return None


def _asks(meta: ObjectMeta) -> bool:
    return (meta.annotation(MIGRATION_JOB) or "").strip().lower() == MIGRATION_JOB_ENABLED


def _gateway_fields(gateway: Gateway) -> dict[str, Any]:
    database = gateway.spec.app.management.database
    job = database.migration_job
    # spec.version is not read: the operator only echoes it, so that it may name another version than the image.
    fields: dict[str, Any] = {}
    if job is not None:
        fields |= {"jdbcUrl": job.jdbc_url, "clearLocks": job.clear_locks}
        if job.active_deadline_seconds is not None:
            fields["activeDeadlineSeconds"] = job.active_deadline_seconds
    if database.liquibase_log_level in set(LogLevel):
        fields["liquibaseLogLevel"] = database.liquibase_log_level
    return fields


def _annotated_fields(meta: ObjectMeta) -> dict[str, Any]:
    wire = {
        JDBC_URL: "jdbcUrl",
        CLEAR_LOCKS: "clearLocks",
        ACTIVE_DEADLINE_SECONDS: "activeDeadlineSeconds",
        LIQUIBASE_LOG_LEVEL_ANNOTATION: "liquibaseLogLevel",
    }
    return {name: value for note, name in wire.items() if (value := meta.annotation(note)) is not None}


def _checked(source: Source, fields: Mapping[str, Any]) -> tuple[Source, RecordSpec, str | None]:
    """Read the fields; a bad one leaves the Deployment governed with defaults and says so."""
    return source, *_read(source, tuple(fields.items()))


@lru_cache(maxsize=1024)
def _read(source: Source, fields: tuple[tuple[str, Any], ...]) -> tuple[RecordSpec, str | None]:
    """Remember the few settings there are: checking them costs more than all the rest of an answer."""
    try:
        return read_spec(dict(fields)), None
    except InvalidObjectError as error:
        return RecordSpec(), f"{source} settings: {error}"


def _namespace_mode(namespace: Namespace | None) -> Mode | None:
    label = ((namespace.metadata.labels or {}).get(ENFORCE, "") if namespace else "").strip().lower()
    if not label:
        return None
    return next((mode for mode in Mode if mode.lower() == label), Mode.REJECT)


def _first_install(claims: Claims) -> FirstInstall:
    """Default: Migrate where a Gateway resource runs the show, as its operator does; else the pods migrate."""
    operated = claims.gateway is not None or any(gateway_owner(meta) for meta in claims.deployments)
    return FirstInstall.MIGRATE if operated else FirstInstall.GATEWAY
