"""Whether the webhooks are registered as this version means them to be.

A fault is what keeps the API server from asking, or from obeying; what only differs is a warning. Managed clusters
add expressions of their own to ``namespaceSelector``: those are no fault as long as they leave out no Gateway.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from webhook.policy.diagnosis.expected import EXCLUDED, NAMESPACE_LABEL, WEBHOOKS, Webhook
from webhook.policy.diagnosis.facts import Facts, Manifest
from webhook.policy.diagnosis.line import Check, Line, Unread, fail, named, ok, unknown, warn

_AGAIN = "apply the webhook configurations of this version's manifests again"
_RULE_DEFAULTS = {"scope": "*"}


def check_registration(facts: Facts) -> list[Line]:
    """Compare every webhook with what the manifests say; one line where nothing differs."""
    if isinstance(facts.registrations, Unread):
        return [unknown(Check.WEBHOOKS, "how the webhooks are registered", facts.registrations)]
    lines = [*_compared(facts, facts.registrations), *_beside_schemagate(facts)]
    return lines or [ok(Check.WEBHOOKS, f"{len(WEBHOOKS)} webhooks are registered as this version needs them")]


def webhooks(registrations: Mapping[str, Manifest | None]) -> dict[str, Manifest]:
    """Give the webhooks of ours that are registered, by name."""
    found = [hook for item in registrations.values() if item for hook in item.get("webhooks") or ()]
    return {hook["name"]: hook for hook in found if hook["name"] in WEBHOOKS}


def _compared(facts: Facts, registrations: Mapping[str, Manifest | None]) -> Iterator[Line]:
    for kind, item in registrations.items():
        if item is None:
            title = f"{kind.capitalize()}WebhookConfiguration"
            yield fail(Check.WEBHOOKS, f"there is no {title} schemagate: nothing asks schemagate", _AGAIN)
            continue
        held = {hook["name"]: hook for hook in item.get("webhooks") or ()}
        for name, expected in WEBHOOKS.items():
            if expected.configuration != kind:
                continue
            if name not in held:
                yield fail(Check.WEBHOOKS, f"webhook {name} is not registered", _AGAIN)
                continue
            yield from _webhook(name, held[name], expected)
            yield from _selected(name, held[name].get("namespaceSelector") or {}, facts)


def _beside_schemagate(facts: Facts) -> Iterator[Line]:
    """Look for Gateways where nothing is ever guarded, nor any migration run."""
    if isinstance(facts.gateways, Unread):
        return
    own = (facts.namespace, *EXCLUDED)
    if held := [where for where in own if where in facts.gateways.namespaces]:
        said = f"schemagate leaves out namespace {named(held)}, and there are Gateways: nothing guards them"
        yield fail(Check.WEBHOOKS, said, "move the Gateways, or install schemagate in a namespace of its own")


def _webhook(name: str, held: Manifest, expected: Webhook) -> Iterator[Line]:
    differs = [field for field, value, wanted in _decisive(held, expected) if value != wanted]
    if differs:
        yield fail(Check.WEBHOOKS, f"webhook {name}: {named(differs)} not as this version needs it", _AGAIN)
    if held.get("timeoutSeconds") != expected.seconds:
        said = f"webhook {name}: timeoutSeconds is {held.get('timeoutSeconds')}, not {expected.seconds}"
        yield warn(Check.WEBHOOKS, said, _AGAIN)


def _decisive(held: Manifest, expected: Webhook) -> Iterator[tuple[str, object, object]]:
    """Give name, value and wanted value of each field that decides whether we are asked and obeyed."""
    config = held.get("clientConfig") or {}
    path = (config.get("service") or {}).get("path") or urlsplit(config.get("url") or "").path
    conditions = {item["name"]: _spaced(item["expression"]) for item in held.get("matchConditions") or ()}
    yield "the path", path, expected.path
    yield "rules", [_rule(rule) for rule in held.get("rules") or ()], [_rule(expected.rule)]
    yield "failurePolicy", held.get("failurePolicy", "Fail"), expected.failure_policy
    yield "sideEffects", held.get("sideEffects"), expected.side_effects
    yield "matchPolicy", held.get("matchPolicy", "Equivalent"), "Equivalent"
    yield "admissionReviewVersions", "v1" in (held.get("admissionReviewVersions") or ()), True
    if expected.reinvocation is not None:
        yield "reinvocationPolicy", held.get("reinvocationPolicy", "Never"), expected.reinvocation
    yield "matchConditions", conditions, {key: _spaced(text) for key, text in expected.conditions.items()}
    yield "objectSelector", {key: value for key, value in (held.get("objectSelector") or {}).items() if value}, {}


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: sorted(value) if isinstance(value, list) else value
        for key, value in {**_RULE_DEFAULTS, **rule}.items()
    }


def _spaced(expression: str) -> str:
    """Take line breaks and what YAML made of them for one space."""
    return " ".join(expression.split())


def _selected(name: str, selector: Manifest, facts: Facts) -> Iterator[Line]:
    """Look for Gateways that are left out, and for our own namespaces that are not."""
    own = (facts.namespace, *EXCLUDED)
    if (unread := _unjudged(selector, facts)) is not None:
        yield unknown(Check.WEBHOOKS, f"whether namespaceSelector of webhook {name} leaves out a Gateway", unread)
        return
    labels = facts.labels if isinstance(facts.labels, Mapping) else {}
    gateways = facts.gateways.namespaces if not isinstance(facts.gateways, Unread) else frozenset[str]()
    known = {where: {**labels.get(where, {}), NAMESPACE_LABEL: where} for where in {*labels, *gateways, *own}}
    lost = sorted(where for where in known if where not in own and not matches(selector, known[where]))
    if guarded := [where for where in lost if where in gateways]:
        said = f"webhook {name}: namespaceSelector leaves out Gateways in namespace {named(guarded)}"
        yield fail(Check.WEBHOOKS, said, "take what excludes them out of namespaceSelector")
    elif lost and not _foreign(selector, own):
        said = f"webhook {name}: namespaceSelector leaves out namespace {named(lost)}"
        yield warn(Check.WEBHOOKS, said, f"a Gateway there would not be guarded: {_AGAIN}")
    asked = [where for where in own if matches(selector, known[where])]
    if asked:
        said = f"webhook {name}: namespaceSelector lets requests of {named(asked)} through to schemagate"
        yield warn(Check.WEBHOOKS, said, f"an outage could keep itself alive: {_AGAIN}")


def _unjudged(selector: Manifest, facts: Facts) -> Unread | None:
    """Give what it would take to judge a selector, if it could not be read: ours alone takes nothing."""
    expressions = selector.get("matchExpressions") or ()
    by_label = {item["key"] for item in expressions} | set(selector.get("matchLabels") or {})
    if isinstance(facts.labels, Unread) and by_label - {NAMESPACE_LABEL}:
        return facts.labels
    ours = all(_ours(item, (facts.namespace, *EXCLUDED)) for item in expressions)
    if isinstance(facts.gateways, Unread) and not (ours and not selector.get("matchLabels")):
        return facts.gateways
    return None


def _ours(item: Mapping[str, Any], own: tuple[str, ...]) -> bool:
    """Tell whether an expression leaves out no more than we do."""
    at_most = item["operator"] == "NotIn" and set(item.get("values") or ()) <= set(own)
    return item["key"] == NAMESPACE_LABEL and at_most


def _foreign(selector: Manifest, own: tuple[str, ...]) -> bool:
    """Tell whether what we do not leave out is left out by labels that managed clusters set, and by those alone.

    Such an expression is met by a namespace without any label; what asks for a label is met by hardly any.
    """
    return not selector.get("matchLabels") and all(
        _ours(item, own) or (item["key"] != NAMESPACE_LABEL and item["operator"] in {"NotIn", "DoesNotExist"})
        for item in selector.get("matchExpressions") or ()
    )


def matches(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches, as the API server reads it; an unknown operator matches nothing."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for item in selector.get("matchExpressions") or ():
        value, values = labels.get(item["key"]), item.get("values") or ()
        held = {
            "In": value in values,
            "NotIn": value is None or value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }.get(item["operator"], False)
        if not held:
            return False
    return True
