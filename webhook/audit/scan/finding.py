"""What is wrong in a cluster as it stands, whoever let it in: the rules, and one place where one is broken."""

from dataclasses import dataclass
from enum import StrEnum

from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.redaction import safe

_SUBJECT_LIMIT = 300


class Severity(StrEnum):
    """How much a finding matters. Compare by ``rank``."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """Number for comparisons: the graver, the greater."""
        return len(Severity) - list(Severity).index(self)


class Rule(StrEnum):
    """What the scan looks for (CamelCase, closed set)."""

    severity: Severity
    meaning: str
    advice: str

    def __new__(cls, value: str, severity: Severity, meaning: str, advice: str) -> "Rule":
        """Make a member that carries its severity, its meaning and what to do about it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.severity = severity
        member.meaning = meaning
        member.advice = advice
        return member

    INCOMPLETE_HASH = (
        "IncompleteHash",
        Severity.HIGH,
        "A rollout went on, or pods run, although the migration of their inputs is not recorded as complete.",
        "Have the migration run: schemagate migrate, or retry where it failed.",
    )
    SKIP_WITHOUT_EVIDENCE = (
        "SkipWithoutEvidence",
        Severity.HIGH,
        "Pods skip their own migration, and no completed migration of their inputs is recorded.",
        "Have the migration run, and take skip out of the chart's or Deployment's own arguments.",
    )
    INVALID_INPUTS = (
        "InvalidInputs",
        Severity.HIGH,
        "The inputs of the migration cannot be told: a JDBC URL is refused or a ConfigMap is missing.",
        "Mend what the message names.",
    )
    CONFIG_DRIFT = (
        "ConfigDrift",
        Severity.HIGH,
        "A ConfigMap changed after the migration: new pods would meet a database that is not migrated for them.",
        "Have the migration run for what the ConfigMap says now, or put it back.",
    )
    MIGRATION_FAILED = (
        "MigrationFailed",
        Severity.HIGH,
        "The migration that a rollout waits for failed; nothing runs until somebody mends it.",
        "Mend what the record names, then: schemagate retry.",
    )
    UNGOVERNED = (
        "Ungoverned",
        Severity.MEDIUM,
        "A Gateway with a database that nothing asks schemagate to guard.",
        "Label its namespace schemagate.io/enforce, or annotate the Deployment schemagate.io/migration-job: "
        "enabled.",
    )
    CONFLICTING_MODES = (
        "ConflictingModes",
        Severity.MEDIUM,
        "Two places say different things: of the schema-update mode, or of what happens to rollouts.",
        "Leave it to one of the places that the message names.",
    )
    SHARED_DATABASE = (
        "SharedDatabase",
        Severity.MEDIUM,
        "Several Deployments use one database with different images: the schema is right for one of them.",
        "Give all of them one image, or a database each.",
    )
    HELD_FOR_LONG = (
        "HeldForLong",
        Severity.MEDIUM,
        "A Deployment is paused by schemagate and has been waiting for its migration for more than an hour.",
        "See what its record says: schemagate status.",
    )
    UNSUPPORTED_VERSION = (
        "UnsupportedVersion",
        Severity.LOW,
        "The Gateway is older than 11.2.2: it does not know the schema-update modes and migrates by itself.",
        "Upgrade it; until then nothing guards it.",
    )
    UNREADABLE = (
        "Unreadable",
        Severity.LOW,
        "The Deployment cannot be judged: its pod template has a shape that is not known, or is too large.",
        "Mend the part that the message names.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule broken in one place.

    ``name`` is that of the Deployment; ``subject`` the object that shows it, as ``Deployment/NAME`` or
    ``Pod/NAME``. ``message`` and ``next_step`` are one printable line each, without credentials.
    """

    rule: Rule
    namespace: str
    name: str
    subject: str
    message: str
    next_step: str

    @classmethod
    def of(cls, rule: Rule, where: tuple[str, str], message: str, next_step: str, subject: str = "") -> "Finding":
        """Make a finding about a Deployment (namespace, name); texts may be anybody's: they are made safe."""
        namespace, name = where
        return cls(
            rule=rule,
            namespace=namespace,
            name=name,
            subject=printable(subject or f"Deployment/{name}", _SUBJECT_LIMIT),
            message=_shown(message),
            next_step=_shown(next_step),
        )

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return self.rule.severity


def _shown(text: str) -> str:
    return safe(text, MESSAGE_LIMIT)
