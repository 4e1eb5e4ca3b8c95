"""Every reason that schemagate gives, with what it means and what to do.

A reason is at once the status reason of a denial, a metric label, an audit field and a row of the table in
docs/reference.md, which is generated from here.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a verdict fell the way it did (CamelCase, closed set)."""

    effect: str
    meaning: str

    def __new__(cls, value: str, effect: str, meaning: str) -> "Reason":
        """Make a member that carries its effect (what happens) and its meaning (why, and what to do)."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.effect = effect
        member.meaning = meaning
        return member

    NOT_JUDGED = (
        "NotJudged",
        "allowed",
        "Not a create or update of a Deployment, or the object is being deleted.",
    )
    NOT_A_GATEWAY = (
        "NotAGateway",
        "allowed",
        "No container mounts the Gateway license, and no annotation names one.",
    )
    GATEWAY_CONTAINER_LOST = (
        "GatewayContainerLost",
        "denied",
        "The update takes the Gateway container out of a governed Deployment. Keep the container, or disable "
        "the record first.",
    )
    NOT_GOVERNED = (
        "NotGoverned",
        "allowed",
        "No record, Gateway, annotation or namespace label asks schemagate to guard this Deployment.",
    )
    TEMPLATE_UNCHANGED = (
        "TemplateUnchanged",
        "allowed",
        "The pod template is the same: scaling, annotations, an operator's no-op patch.",
    )
    NO_DATABASE = (
        "NoDatabase",
        "allowed",
        "The Gateway keeps no schema in MySQL: diskless without a JDBC URL, or an embedded H2 or Derby.",
    )
    INPUTS_UNCHANGED = (
        "InputsUnchanged",
        "allowed",
        "Nothing that the schema depends on changes: a restart, Java arguments, resources.",
    )
    UNSUPPORTED_GATEWAY_VERSION = (
        "UnsupportedGatewayVersion",
        "allowed, with a warning",
        "Gateways before 11.2.2 do not know the schema-update modes; their pods migrate by themselves.",
    )
    MIGRATION_COMPLETE = (
        "MigrationComplete",
        "allowed",
        "The migration of exactly these inputs is marked complete.",
    )
    ROLLED_BACK = (
        "RolledBack",
        "allowed, with a warning",
        "The inputs were migrated before, but not last: the schema is ahead of the image.",
    )
    ROLLBACK_REFUSED = (
        "RollbackRefused",
        "denied",
        "The inputs were migrated before, but not last, and spec.rollback of the record is Deny. Roll forward, or "
        "set it to Allow.",
    )
    HELD = (
        "Held",
        "allowed",
        "The Deployment is paused, so that no pod of the new template starts before the migration is complete.",
    )
    FIRST_INSTALL = (
        "FirstInstall",
        "allowed",
        "A new Deployment with no old pods to protect; its pods migrate by themselves.",
    )
    BYPASSED = (
        "Bypassed",
        "allowed, with a warning",
        "Break-glass annotations were accepted from a user who holds the verb bypass on gatewaymigrations.",
    )
    INVALID_INPUTS = (
        "InvalidInputs",
        "denied",
        "The inputs of the migration cannot be told: a JDBC URL is refused or a ConfigMap is missing. The "
        "message says which.",
    )
    MIGRATION_PENDING = (
        "MigrationPending",
        "denied",
        "The migration of the new inputs has not run. Run the command that the message gives.",
    )
    MIGRATION_RUNNING = (
        "MigrationRunning",
        "denied",
        "The migration Job of the new inputs is running. Wait for it; the rollout is let through when it is done.",
    )
    MIGRATION_FAILED = (
        "MigrationFailed",
        "denied",
        "The migration failed. Mend what its record names, then retry it or delete the Job.",
    )
    HOLD_NOT_APPLIED = (
        "HoldNotApplied",
        "denied",
        "The mode is Hold, but the Deployment is not paused: the mutating webhook was not reached. Try again.",
    )

    # Pods: the mutating webhook never denies one.
    NOT_A_DEPLOYMENT_POD = (
        "NotADeploymentPod",
        "pod left as it is",
        "The pod is not owned by a ReplicaSet of a Deployment, as a Job's pod is not.",
    )
    SKIP_INJECTED = (
        "SkipInjected",
        "pod patched",
        "The pod's own inputs are migrated: it starts in skip.",
    )
    SKIP_PRESENT = (
        "SkipPresent",
        "pod left as it is",
        "The pod is in skip already, and may be.",
    )
    SKIP_WITHHELD = (
        "SkipWithheld",
        "pod left in its own mode, with a warning",
        "The pod's own inputs are not migrated, so that skip would break it.",
    )


BEYOND_MIGRATION = frozenset({Reason.GATEWAY_CONTAINER_LOST, Reason.ROLLBACK_REFUSED})
"""Why a rollout is turned away that no migration lets pass: somebody has to change it, or the record."""

ALLOWING = frozenset(
    {
        Reason.NOT_JUDGED,
        Reason.NOT_A_GATEWAY,
        Reason.NOT_GOVERNED,
        Reason.TEMPLATE_UNCHANGED,
        Reason.NO_DATABASE,
        Reason.INPUTS_UNCHANGED,
        Reason.UNSUPPORTED_GATEWAY_VERSION,
        Reason.MIGRATION_COMPLETE,
        Reason.ROLLED_BACK,
        Reason.HELD,
        Reason.FIRST_INSTALL,
        Reason.BYPASSED,
    }
)
