"""Would schemagate decide: the cluster's version, the record's definition, fences, leader, clocks."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from webhook.policy.definition import definition
from webhook.policy.diagnosis.expected import FENCES
from webhook.policy.diagnosis.facts import Facts, Fence, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unclear, unknown, warn
from webhook.policy.names import VERSION

LEASE: Final = "schemagate-controller"
OLDEST: Final = (1, 30)
"""The first Kubernetes with matchConditions and ValidatingAdmissionPolicies for everybody."""
_CLOCKS_APART: Final = timedelta(seconds=30)
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)")
_AGAIN: Final = "apply the manifests of this version again"
_LOGS: Final = "logs -l app.kubernetes.io/component=controller"


def check_kubernetes(facts: Facts) -> list[Line]:
    """Look for a Kubernetes that is too old for what the manifests use."""
    found = _NUMBERS.match(facts.version)
    if found is None:
        return [unclear(Check.KUBERNETES, f"its version is {facts.version!r}", "it has to be 1.30 or later")]
    if (int(found[1]), int(found[2])) < OLDEST:
        return [fail(Check.KUBERNETES, f"{facts.version} is older than 1.30", "update the cluster")]
    return [ok(Check.KUBERNETES, f"{facts.version} has all that schemagate uses")]


def check_definition(facts: Facts) -> list[Line]:
    """Compare the stored definition of the record with the one of this version."""
    if isinstance(facts.definition, Unread):
        return [unknown(Check.DEFINITION, "whether the record's definition is of this version", facts.definition)]
    wanted = definition()
    name = f"CustomResourceDefinition {wanted['metadata']['name']}"
    if facts.definition is None:
        return [fail(Check.DEFINITION, f"there is no {name}", _AGAIN)]
    found = next((each for each in facts.definition["spec"]["versions"] if each["name"] == VERSION), None)
    if found is None or not found.get("served") or not found.get("storage"):
        return [fail(Check.DEFINITION, f"{name}: version {VERSION} is not served and stored", _AGAIN)]
    held, expected = _fields(found["schema"]), _fields(wanted["spec"]["versions"][0]["schema"])
    missing = sorted(path for path in expected if path not in held)
    if missing:
        said = f"{name} is older than this program: it lacks {named(missing)}"
        return [
            fail(Check.DEFINITION, said, "apply the definition of this version: Helm never updates one by itself")
        ]
    if other := sorted(path for path in expected if held[path] != expected[path]):
        return [fail(Check.DEFINITION, f"{name} has other rules for {named(other)}", _AGAIN)]
    if more := sorted(path for path in held if path not in expected):
        advice = "update this program to the version that is installed"
        return [warn(Check.DEFINITION, f"{name} is newer than this program: it has {named(more)}", advice)]
    return [ok(Check.DEFINITION, f"{name} is that of this version, with {len(held)} fields")]


def _fields(schema: Mapping[str, Any]) -> dict[str, tuple[object, ...]]:
    """Give what decides about each field of a schema by its path, ``status.job.name``."""
    return dict(_below("", schema["openAPIV3Schema"]))


def _below(path: str, node: Mapping[str, Any]) -> Iterator[tuple[str, tuple[object, ...]]]:
    for name, below in (node.get("properties") or {}).items():
        where = f"{path}.{name}" if path else name
        rules = tuple(sorted(_word(rule["rule"]) for rule in below.get("x-kubernetes-validations") or ()))
        values = tuple(sorted(map(str, below.get("enum") or ())))
        yield where, (below.get("type"), values, below.get("pattern"), rules)
        yield from _below(where, below)
    items = node.get("items")
    if isinstance(items, Mapping):
        yield from _below(f"{path}[]", items)


def _word(rule: str) -> str:
    return " ".join(rule.split())


def check_fences(facts: Facts) -> list[Line]:
    """Look for the policies that keep the controller's account, and who labels namespaces, within bounds."""
    if isinstance(facts.fence, Unread):
        return [unknown(Check.FENCES, "whether the controller's account is fenced in", facts.fence)]
    lines = [*_fences(facts.fence, f"system:serviceaccount:{facts.namespace}:schemagate-controller")]
    return lines or [ok(Check.FENCES, f"{len(FENCES)} ValidatingAdmissionPolicies are in force")]


def _fences(fence: Fence, account: str) -> Iterator[Line]:
    held = {policy["metadata"]["name"]: policy for policy in fence.policies}
    denying = {
        binding["spec"].get("policyName")
        for binding in fence.bindings
        if "Deny" in (binding["spec"].get("validationActions") or ())
    }
    if missing := [name for name in FENCES if name not in held]:
        yield fail(Check.FENCES, f"there is no ValidatingAdmissionPolicy {named(missing)}", _AGAIN)
    if idle := [name for name in FENCES if name in held and name not in denying]:
        yield fail(Check.FENCES, f"no binding has ValidatingAdmissionPolicy {named(idle)} deny anything", _AGAIN)
    for name in FENCES:
        conditions = (held.get(name) or {"spec": {}})["spec"].get("matchConditions") or ()
        if (
            name in held
            and ".controller." in name
            and not any(account in each["expression"] for each in conditions)
        ):
            said = f"ValidatingAdmissionPolicy {name} is not about {account}"
            yield fail(Check.FENCES, said, "apply the manifests for this namespace, or name the right one: -n")


def check_leader(facts: Facts) -> list[Line]:
    """Look whether a controller leads: nobody else migrates, releases or renews."""
    if isinstance(facts.lease, Unread):
        return [unknown(Check.LEADER, "whether a controller leads", facts.lease)]
    logs = f"see why none leads: kubectl -n {facts.namespace} {_LOGS}"
    if facts.lease is None:
        return [fail(Check.LEADER, f"no controller ever led: there is no Lease {LEASE}", logs)]
    spec = facts.lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), _renewed(facts.lease)
    if not holder or renewed is None:
        return [fail(Check.LEADER, f"no controller leads: nobody holds Lease {LEASE}", logs)]
    lasts = timedelta(seconds=spec.get("leaseDurationSeconds") or 15)
    age = facts.server_time - renewed
    # Its holder's clock wrote the time: what it may be off by is told as a clock's fault.
    if age > lasts + _CLOCKS_APART:
        said = f"{holder} holds Lease {LEASE}, but renewed it {int(age.total_seconds())} s ago"
        return [fail(Check.LEADER, said, logs)]
    return [ok(Check.LEADER, f"{holder} leads")]


def check_clocks(facts: Facts) -> list[Line]:
    """Compare the clocks of the API server, of the leader and of whoever asks."""
    lines = []
    apart = facts.local_time - facts.server_time
    if abs(apart) > _CLOCKS_APART:
        said = f"this computer's clock is {_off(apart)} that of the API server"
        lines.append(warn(Check.CLOCKS, said, "set the clock that is wrong: certificates and bypasses go by it"))
    renewed = _renewed(facts.lease) if isinstance(facts.lease, Mapping) else None
    if renewed is not None and renewed - facts.server_time > _CLOCKS_APART:
        said = f"the leader's clock is {_off(renewed - facts.server_time)} that of the API server"
        lines.append(warn(Check.CLOCKS, said, "set the clock of its node: certificates and bypasses go by it"))
    return lines or [ok(Check.CLOCKS, f"less than {int(_CLOCKS_APART.total_seconds())} s apart")]


def _off(apart: timedelta) -> str:
    seconds = int(abs(apart).total_seconds())
    return f"{seconds} s {'ahead of' if apart > timedelta() else 'behind'}"


def _renewed(lease: Manifest) -> datetime | None:
    """Give when a Lease was renewed, None for what is no aware moment."""
    try:
        moment = datetime.fromisoformat(str((lease.get("spec") or {}).get("renewTime")))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
