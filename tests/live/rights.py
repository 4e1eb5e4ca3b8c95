"""Rights as the manifests grant them, and as an audit log shows them to be used."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.live.installation import NAMESPACE, manifests

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:"
PROGRAM = "schemagate-"
"""How the user agents of our processes begin: tests that borrow an account have others."""

CERTIFICATES = {"secrets", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
"""The resources that keeping certificates takes, and nothing else does."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A verb on a resource, everywhere or in our own namespace alone, on all objects or on that of one name."""

    account: str
    group: str
    resource: str
    verb: str
    own: bool = False
    name: str = ""


def granted() -> set[Right]:
    """Give all rights of both accounts; roles are bound to the account of their name (tests/manifests)."""
    return {
        Right(role["metadata"]["name"], group, resource, verb, role["kind"] == "Role", name)
        for role in manifests("40-roles.yaml")
        if role["kind"] in {"ClusterRole", "Role"}
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def requests(events: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the account and the event of every request that our processes made, allowed or not."""
    for event in events:
        user = event["user"]["username"]
        if user.startswith(ACCOUNT) and event.get("userAgent", "").startswith(PROGRAM):
            yield user.removeprefix(ACCOUNT), event


def fold(events: Iterable[dict[str, Any]], rights: set[Right]) -> tuple[set[Right], set[str]]:
    """Give the rights that were used, and what was asked without any.

    A right that holds everywhere is used by what is not in our own namespace: else it should not hold everywhere.
    """
    used, lacking = set[Right](), set[str]()
    for account, event in requests(events):
        at = event.get("objectRef")
        if at is None:
            # Schemas, which every account may read (ClusterRole system:discovery).
            if event["requestURI"].partition("?")[0] != "/openapi/v3/apis/security.brcmlabs.com/v1":
                lacking.add(f"{account} {event['verb']} {event['requestURI']}")
            continue
        resource = "/".join(filter(None, (at["resource"], at.get("subresource", ""))))
        own = at.get("namespace") == NAMESPACE
        asked = (account, at.get("apiGroup", ""), resource, event["verb"])
        wide, narrow = (
            {Right(*asked, own=only, name=name) for name in ("", at.get("name", ""))} & rights
            for only in (False, True)
        )
        if wide:
            used |= set() if own else wide
        elif own and narrow:
            used |= narrow
        else:
            where = f"{at.get('namespace', '')}/{at.get('name', '')}"
            lacking.add(f"{account} {event['verb']} {resource} of {at.get('apiGroup', 'core')} in {where}")
    return used, lacking
