"""Whether the two service accounts hold the rights that they need, and none may do everything."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from webhook.policy.diagnosis.facts import Facts
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unknown, warn
from webhook.policy.diagnosis.rights import Right, rights

_AGAIN: Final = "apply the roles and their bindings of this version's manifests again"


def check_rights(facts: Facts) -> list[Line]:
    """Say what an account lacks, and which accounts may do everything."""
    held = facts.rights
    if isinstance(held, Unread):
        return [unknown(Check.RIGHTS, "what the service accounts may do", held)]
    lines: list[Line] = []
    for account in dict.fromkeys(right.account for right in held):
        lacking = [right for right, allowed in held.items() if right.account == account and not allowed]
        for by_namespace in (False, True):
            if some := [
                right for right in lacking if bool(right.namespace and right.of_migrations) is by_namespace
            ]:
                said = f"service account {account} may not {named([str(right) for right in some])}"
                lines.append(fail(Check.RIGHTS, said, _bind(facts.namespace, some) if by_namespace else _AGAIN))
    unasked = [right for right in rights(facts.namespace) if right.by_namespace and not _asked(right, held)]
    if unasked and isinstance(facts.gateways, Unread):
        what = f"whether the controller holds {len(unasked)} rights in the namespaces that it migrates in"
        lines.append(unknown(Check.RIGHTS, what, facts.gateways))
    lines += [
        warn(
            Check.RIGHTS,
            f"service account {account} may do everything in the cluster",
            "take away the binding that grants it: the roles of the manifests are all that it needs",
        )
        for account in facts.almighty
    ]
    later = f"; {len(unasked)} more in namespaces that have records, and none has" if unasked else ""
    return lines or [ok(Check.RIGHTS, f"both service accounts hold the {len(held)} rights that they need{later}")]


def _asked(right: Right, held: Mapping[Right, bool]) -> bool:
    return right in held or any(replace(one, namespace="") == right for one in held)


def _bind(namespace: str, lacking: Sequence[Right]) -> str:
    where = named(sorted({right.namespace for right in lacking}))
    return (
        f"bind ClusterRole schemagate-migrations to service account {namespace}/schemagate-controller in {where}: "
        f"value namespaces of the chart, namespaces.yaml of the overlay; or else {_AGAIN}"
    )
