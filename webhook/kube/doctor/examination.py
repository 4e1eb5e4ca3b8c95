"""Gathers what ``schemagate doctor`` looks at, with a person's rights; nothing is written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec

from webhook.kube.api.client import Client
from webhook.kube.certificates.registrations import KINDS, NAME
from webhook.kube.doctor import canary
from webhook.kube.doctor.access import held_rights
from webhook.kube.doctor.certificate import certificate
from webhook.kube.doctor.gateways import gateways_of
from webhook.kube.doctor.look import Look
from webhook.kube.resources import DEPLOYMENTS, JOBS, LEASES, NAMESPACES, Resource
from webhook.policy.definition import definition
from webhook.policy.diagnosis.expected import SERVICE
from webhook.policy.diagnosis.facts import Facts, Fence, Gateways, Manifest
from webhook.policy.diagnosis.gateways import FOREIGN_SUFFIX
from webhook.policy.diagnosis.leader import LEASE, duration_of, looks_held, moved
from webhook.policy.diagnosis.line import Unread
from webhook.policy.diagnosis.processes import PROCESSES
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT

_LATE: Final = 2.0
"""Seconds that a renewal may take longer than it should."""
_REGISTRATION: Final = "admissionregistration.k8s.io"
_DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
_POLICIES: Final = Resource(
    _REGISTRATION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
_BINDINGS: Final = Resource(
    _REGISTRATION,
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)
_SERVICES: Final = Resource("", "v1", "services", "Service")
_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")


async def examine(
    client: Client,
    namespace: str,
    canary_namespace: str,
    now: Callable[[], datetime],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Facts:
    """Look at the installation in a namespace; the canary is sent into another.

    ``now`` gives this computer's time, aware; ``wait`` waits so many seconds. Raises a ClusterError where the API
    server does not even tell its version; whatever else cannot be read is Unread.
    """
    look = Look(client)
    version, told, local_time = await _moment(client, now)
    server_time = told or local_time
    ahead = server_time - local_time
    lease = await look.one(LEASES, namespace, LEASE)  # at once: its time is compared with the server's
    read = now() + ahead
    deployments = await _each(look, {name: (DEPLOYMENTS, name) for name in PROCESSES}, namespace)
    registrations = await _each(look, {kind: (resource, NAME) for kind, resource in KINDS.items()})
    gateways = await gateways_of(client, server_time)
    held, almighty = await held_rights(client, namespace, _migrating(gateways))
    facts = Facts(
        namespace=namespace,
        server_time=server_time,
        local_time=local_time,
        timed=told is not None,
        version=version,
        deployments=deployments,
        definition=await look.one(_DEFINITIONS, "", definition()["metadata"]["name"]),
        registrations=registrations,
        other_webhooks=await _others(look),
        fence=await _fence(look),
        service=await look.one(_SERVICES, namespace, SERVICE),
        slices=await look.all(_SLICES, namespace, f"kubernetes.io/service-name={SERVICE}"),
        certificate=await certificate(look, namespace, deployments, registrations, server_time),
        canary=await canary.send(client, canary_namespace),
        rights=held,
        almighty=almighty,
        lease=lease,
        lease_time=read,
        lease_moved=False,
        labels=await _labels(look),
        gateways=gateways,
        jobs=await look.all(JOBS, keep=_migrates),
    )
    if isinstance(lease, Unread) or looks_held(lease, read):
        return facts
    # A leader renews every third of the time, by a clock of its own; and one that just began may follow another.
    await wait(duration_of(lease or {}) / 3 + _LATE)
    after = await look.one(LEASES, namespace, LEASE)
    if isinstance(after, Unread):
        return replace(facts, lease=after)
    return replace(facts, lease=after, lease_time=now() + ahead, lease_moved=moved(lease, after))


async def _moment(client: Client, now: Callable[[], datetime]) -> tuple[str, datetime | None, datetime]:
    """Give the API server's version, its time if it tells it, and ours in the middle of the call."""
    told: list[datetime | None] = []
    before = now()
    raw = await client.request("GET", "/version", heard=lambda answer: told.append(answer.date))
    local = before + (now() - before) / 2
    return str(msgspec.json.decode(raw).get("gitVersion", "")), told[0], local


async def _each(
    look: Look, wanted: Mapping[str, tuple[Resource, str]], namespace: str = ""
) -> Mapping[str, Manifest | None] | Unread:
    """Give objects by what they are to be called here; each is wanted by kind and name."""
    found: dict[str, Manifest | None] = {}
    for word, (resource, name) in wanted.items():
        item = await look.one(resource, namespace, name)
        if isinstance(item, Unread):
            return item
        found[word] = item
    return found


async def _others(look: Look) -> tuple[str, ...] | Unread:
    """Name the other mutating webhook configurations that are asked about new pods."""
    found = await look.all(KINDS["mutating"])
    if isinstance(found, Unread):
        return found
    names = [item["metadata"]["name"] for item in found if any(map(_about_pods, item.get("webhooks") or ()))]
    return tuple(sorted(name for name in names if name != NAME))


async def _fence(look: Look) -> Fence | Unread:
    """Give all ValidatingAdmissionPolicies and their bindings."""
    policies, bindings = await look.all(_POLICIES), await look.all(_BINDINGS)
    if isinstance(policies, Unread):
        return policies
    return bindings if isinstance(bindings, Unread) else Fence(policies=policies, bindings=bindings)


async def _labels(look: Look) -> Mapping[str, Mapping[str, str]] | Unread:
    """Give the labels of every namespace."""
    found = await look.all(NAMESPACES)
    if isinstance(found, Unread):
        return found
    return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in found}


def _migrates(job: Manifest) -> bool:
    """Tell whether a Job says that it migrates, by its name or label."""
    meta = job["metadata"]
    labelled = (meta.get("labels") or {}).get(COMPONENT) == MIGRATION_COMPONENT
    return labelled or str(meta["name"]).endswith(FOREIGN_SUFFIX)


def _migrating(gateways: Gateways | Unread) -> list[str]:
    """Name the namespaces in which something is to be migrated."""
    records = () if isinstance(gateways, Unread) else gateways.records
    return sorted({record.namespace for record in records if record.spec.enabled})


def _about_pods(hook: Manifest) -> bool:
    """Tell whether a webhook is asked about pods that are created."""
    return any(
        {"", "*"} & set(rule.get("apiGroups") or ())
        and {"pods", "*", "*/*", "pods/*"} & set(rule.get("resources") or ())
        and {"CREATE", "*"} & set(rule.get("operations") or ())
        for rule in hook.get("rules") or ()
    )
