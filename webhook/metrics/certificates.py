"""Metrics of certificates: how those that are kept stand, and whether clients trust the one that is shown."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from certs.renewal import Reason
from webhook.metrics.series import certificate_expiry, failures

CONFIGURATIONS = ("mutating", "validating")
KINDS = ("ca", "leaf")


class KeeperMetrics:
    """What the controller tells of the certificates that it keeps."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.expiry = certificate_expiry(registry)
        self.renewals = Counter(
            "schemagate_certificate_renewals",
            "Certificates made. Labels: kind (ca, leaf), reason.",
            ["kind", "reason"],
            registry=registry,
        )
        self.in_sync = Gauge(
            "schemagate_ca_bundle_in_sync",
            "1 when every webhook of ours holds the CA bundle that it should, else 0. Label: configuration.",
            ["configuration"],
            registry=registry,
        )
        self.repairs = Counter(
            "schemagate_ca_bundle_repairs",
            "CA bundles written. Label: configuration.",
            ["configuration"],
            registry=registry,
        )
        self.failed = failures(
            "schemagate_certificate_failures", "Looks at the certificates that failed. Label: error.", registry
        )
        for kind in KINDS:
            for reason in Reason:
                self.renewals.labels(kind, reason.value)
        for configuration in CONFIGURATIONS:
            self.repairs.labels(configuration)
        self.forget()

    def forget(self) -> None:
        """Tell nothing of how certificates are, and of nothing that is wrong: another replica keeps them."""
        self.expiry.clear()
        for configuration in CONFIGURATIONS:
            self.in_sync.labels(configuration).set(1)


class ServedMetrics:
    """What a webhook replica tells of the certificate that it shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verified = Gauge(
            "schemagate_certificate_verified",
            "1 when every CA bundle of a configuration verifies what this replica shows, else 0. "
            "Label: configuration.",
            ["configuration"],
            registry=registry,
        )
        self.verified(())

    def verified(self, refusing: Iterable[str]) -> None:
        """Take in the configurations that refuse the certificate."""
        refuse = set(refusing)
        for configuration in CONFIGURATIONS:
            self._verified.labels(configuration).set(configuration not in refuse)
