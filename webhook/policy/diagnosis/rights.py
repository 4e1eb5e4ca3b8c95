"""What the two service accounts have to be allowed, right by right; a test compares it with the roles."""

from dataclasses import dataclass
from typing import Final

EVERYWHERE: Final = ""
OWN: Final = "own"

_CONFIGURATIONS: Final = "mutatingwebhookconfigurations validatingwebhookconfigurations"
# Group, resources, names, verbs, and where: in all namespaces, or in schemagate's own.
_Row = tuple[str, str, str, str, str]
_WEBHOOK: Final[tuple[_Row, ...]] = (
    ("schemagate.io", "gatewaymigrations", "", "get list watch", EVERYWHERE),
    ("security.brcmlabs.com", "gateways", "", "list watch", EVERYWHERE),
    ("", "namespaces", "", "list watch", EVERYWHERE),
    ("apps", "deployments", "", "list watch", EVERYWHERE),
    ("", "configmaps", "", "get", EVERYWHERE),
    ("authorization.k8s.io", "subjectaccessreviews", "", "create", EVERYWHERE),
    ("admissionregistration.k8s.io", _CONFIGURATIONS, "schemagate", "list watch", EVERYWHERE),
    ("", "configmaps", "", "create", OWN),
    ("", "secrets", "schemagate-webhook-tls", "list watch", OWN),
)
_CONTROLLER: Final[tuple[_Row, ...]] = (
    ("schemagate.io", "gatewaymigrations", "", "list watch create patch delete", EVERYWHERE),
    ("schemagate.io", "gatewaymigrations/status", "", "update", EVERYWHERE),
    ("security.brcmlabs.com", "gateways", "", "get list watch", EVERYWHERE),
    ("security.brcmlabs.com", "gateways/status", "", "patch", EVERYWHERE),
    ("", "namespaces", "", "list watch", EVERYWHERE),
    ("apps", "deployments", "", "get list watch patch", EVERYWHERE),
    ("batch", "jobs", "", "get list watch create delete", EVERYWHERE),
    ("", "pods", "", "list watch", EVERYWHERE),
    ("", "pods/log", "", "get", EVERYWHERE),
    ("", "configmaps", "", "get list watch", EVERYWHERE),
    ("events.k8s.io", "events", "", "list create patch", EVERYWHERE),
    ("openreports.io", "reports", "", "list create patch delete", EVERYWHERE),
    ("wgpolicyk8s.io", "policyreports", "", "list create patch delete", EVERYWHERE),
    ("admissionregistration.k8s.io", _CONFIGURATIONS, "schemagate", "get list watch patch", EVERYWHERE),
    ("", "configmaps", "", "delete", OWN),
    ("", "secrets", "schemagate-ca schemagate-webhook-tls", "get list watch update", OWN),
    ("", "secrets", "", "create", OWN),
    ("coordination.k8s.io", "leases", "", "create", OWN),
    ("coordination.k8s.io", "leases", "schemagate-controller", "get update", OWN),
)
_BY_NAMESPACE: Final = frozenset(
    {
        ("batch", "jobs", "create"),
        ("batch", "jobs", "delete"),
        ("", "pods/log", "get"),
        ("apps", "deployments", "patch"),
        ("security.brcmlabs.com", "gateways/status", "patch"),
        *(("openreports.io", "reports", verb) for verb in ("create", "patch", "delete")),
        *(("wgpolicyk8s.io", "policyreports", verb) for verb in ("create", "patch", "delete")),
    }
)
"""What the controller may hold in the namespaces alone that it migrates in (the namespaced installation)."""


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource for one account; ``namespace`` is empty for all of them."""

    account: str
    group: str
    resource: str
    verb: str
    name: str
    namespace: str

    def __str__(self) -> str:
        """Say it as kubectl does: ``patch deployments.apps in team-a``."""
        kind, _, part = self.resource.partition("/")
        told = f"{kind}{f'.{self.group}' if self.group else ''}{f'/{part}' if part else ''}"
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {told}{f' {self.name}' if self.name else ''}{where}"

    @property
    def by_namespace(self) -> bool:
        """Whether it may be held namespace by namespace in place of everywhere."""
        return not self.namespace and self.of_migrations

    @property
    def of_migrations(self) -> bool:
        """Whether a namespaced installation grants it by ClusterRole schemagate-migrations."""
        return (self.group, self.resource, self.verb) in _BY_NAMESPACE


def rights(namespace: str) -> list[Right]:
    """Give what both accounts need of an installation in a namespace."""
    rows = [("schemagate-webhook", row) for row in _WEBHOOK] + [
        ("schemagate-controller", row) for row in _CONTROLLER
    ]
    return [
        Right(account, group, resource, verb, name, namespace if where == OWN else "")
        for account, (group, resources, names, verbs, where) in rows
        for resource in resources.split()
        for name in names.split() or ("",)
        for verb in verbs.split()
    ]
