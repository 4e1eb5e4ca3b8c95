"""All checks, in the order in which they are told."""

from collections.abc import Callable
from typing import Final

from webhook.policy.diagnosis.accounts import check_rights
from webhook.policy.diagnosis.cluster import check_definition, check_kubernetes
from webhook.policy.diagnosis.facts import Facts
from webhook.policy.diagnosis.fences import check_fences
from webhook.policy.diagnosis.gateways import (
    check_coverage,
    check_foreign_jobs,
    check_migrations,
    check_other_webhooks,
)
from webhook.policy.diagnosis.leader import check_clocks, check_leader
from webhook.policy.diagnosis.line import Check, Line
from webhook.policy.diagnosis.processes import check_processes
from webhook.policy.diagnosis.registration import check_registration
from webhook.policy.diagnosis.serving import check_bundles, check_canary, check_certificate, check_service

CHECKS: Final[dict[Check, Callable[[Facts], list[Line]]]] = {
    Check.KUBERNETES: check_kubernetes,
    Check.PROCESSES: check_processes,
    Check.DEFINITION: check_definition,
    Check.WEBHOOKS: check_registration,
    Check.FENCES: check_fences,
    Check.SERVICE: check_service,
    Check.CERTIFICATE: check_certificate,
    Check.CA_BUNDLE: check_bundles,
    Check.CANARY: check_canary,
    Check.RIGHTS: check_rights,
    Check.LEADER: check_leader,
    Check.CLOCKS: check_clocks,
    Check.MIGRATIONS: check_migrations,
    Check.FOREIGN_JOBS: check_foreign_jobs,
    Check.COVERAGE: check_coverage,
    Check.OTHER_WEBHOOKS: check_other_webhooks,
}


def diagnose(facts: Facts) -> list[Line]:
    """Give at least one line for every check: what is wrong, or that it is well."""
    return [line for check in Check for line in CHECKS[check](facts)]
