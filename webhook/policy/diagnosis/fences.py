"""Are the policies in force that keep the controller's account, and who labels namespaces, within bounds.

Each is compared part by part with what the manifests of this version say, by a digest of that part: a fence with a
hole in it has the same name as one without.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from webhook.policy.diagnosis.expected import FENCES
from webhook.policy.diagnosis.facts import Facts, Fence, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unknown
from webhook.policy.names import PRODUCT

_AGAIN: Final = "apply the manifests of this version again"
_MATCH_DEFAULTS: Final[Mapping[str, Any]] = {
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
}
_RULE_DEFAULTS: Final[Mapping[str, Any]] = {"scope": "*"}


def check_fences(facts: Facts) -> list[Line]:
    """Compare policies and bindings with those of this version."""
    if isinstance(facts.fence, Unread):
        return [unknown(Check.FENCES, "whether the controller's account is fenced in", facts.fence)]
    lines = [*_fences(facts.fence, facts.namespace)]
    return lines or [ok(Check.FENCES, f"{len(FENCES)} ValidatingAdmissionPolicies are in force")]


def digests(spec: Manifest, namespace: str) -> dict[str, str]:
    """Give each part of a policy that decides what it denies, as a digest that tells nothing of line breaks.

    ``namespace`` is the one of the installation that the policy is about.
    """
    parts: dict[str, Any] = {
        "failurePolicy": spec.get("failurePolicy", "Fail"),
        "paramKind": spec.get("paramKind"),
        "matchConstraints": _matching(spec.get("matchConstraints") or {}),
        "matchConditions": _expressions(spec.get("matchConditions"), namespace),
        "variables": _expressions(spec.get("variables"), namespace),
        "validations": _expressions(spec.get("validations"), namespace),
    }
    return {name: _digest(part) for name, part in parts.items()}


def _digest(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:12]


def _expressions(items: Sequence[Mapping[str, str]] | None, namespace: str) -> list[tuple[str, str]]:
    return [(item.get("name", ""), _spoken(item["expression"], namespace)) for item in items or ()]


def _spoken(expression: str, namespace: str) -> str:
    """Write an expression as in the manifests: their namespace, and one space for any."""
    text = " ".join(expression.split())
    text = text.replace(f"system:serviceaccount:{namespace}:", f"system:serviceaccount:{PRODUCT}:")
    return text.replace(f"['{namespace}', ", f"['{PRODUCT}', ")


def _matching(match: Manifest) -> dict[str, Any]:
    """Leave out what an API server fills in, and what is empty."""
    said = {key: value for key, value in match.items() if value and _MATCH_DEFAULTS.get(key) != value}
    for key in ("resourceRules", "excludeResourceRules"):
        if key in said:
            said[key] = [_rule(rule) for rule in said[key]]
    return said


def _rule(rule: Manifest) -> dict[str, Any]:
    return {
        key: sorted(value) if isinstance(value, list) else value
        for key, value in rule.items()
        if value and _RULE_DEFAULTS.get(key) != value
    }


def _fences(fence: Fence, namespace: str) -> Iterator[Line]:
    held = {policy["metadata"]["name"]: policy["spec"] for policy in fence.policies}
    if missing := [name for name in FENCES if name not in held]:
        yield fail(Check.FENCES, f"there is no ValidatingAdmissionPolicy {named(missing)}", _AGAIN)
    stored = [name for name in FENCES if name in held]
    denying = [item["spec"] for item in fence.bindings if "Deny" in (item["spec"].get("validationActions") or ())]
    bound = {name: [spec for spec in denying if spec.get("policyName") == name] for name in stored}
    if idle := [name for name in stored if not bound[name]]:
        yield fail(Check.FENCES, f"no binding has ValidatingAdmissionPolicy {named(idle)} deny anything", _AGAIN)
    if narrow := [name for name in stored if bound[name] and not any(map(_everywhere, bound[name]))]:
        said = f"the binding of ValidatingAdmissionPolicy {named(narrow)} leaves something out"
        yield fail(Check.FENCES, said, _AGAIN)
    for name in stored:
        yield from _compared(name, held[name], namespace)


def _everywhere(binding: Manifest) -> bool:
    """Tell whether a binding is about all that its policy is about; one with parameters takes all of them."""
    parameters = binding.get("paramRef") or {}
    return not (
        _matching(binding.get("matchResources") or {})
        or parameters.get("name")
        or parameters.get("namespace")
        or any((parameters.get("selector") or {}).values())
    )


def _compared(name: str, spec: Manifest, namespace: str) -> Iterator[Line]:
    account = f"system:serviceaccount:{namespace}:schemagate-controller"
    about = any(account in each["expression"] for each in spec.get("matchConditions") or ())
    if ".controller." in name and not about:
        said = f"ValidatingAdmissionPolicy {name} is not about {account}"
        yield fail(Check.FENCES, said, "apply the manifests for this namespace, or name the right one: -n")
        return
    found = digests(spec, namespace)
    if differs := [part for part, digest in FENCES[name].items() if found[part] != digest]:
        said = f"ValidatingAdmissionPolicy {name}: {named(differs)} not as this version needs it"
        yield fail(Check.FENCES, said, _AGAIN)
