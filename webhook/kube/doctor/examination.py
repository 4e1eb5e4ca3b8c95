"""Gathers what ``schemagate doctor`` looks at, with a person's rights; nothing is written."""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from certs.bundle import verifies
from certs.pair import KeyPair
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.scan import scan
from webhook.errors import ForbiddenError, NotFoundError
from webhook.kube.api.client import JSON, Client
from webhook.kube.certificates.keeper import leaf_in
from webhook.kube.certificates.registrations import KINDS, NAME
from webhook.kube.certificates.secrets import LEAF, SECRETS, read_secret
from webhook.kube.doctor import canary
from webhook.kube.doctor.access import held_rights
from webhook.kube.informer.listing import list_all
from webhook.kube.resources import DEPLOYMENTS, JOBS, LEASES, NAMESPACES, Resource
from webhook.kube.stocktaking import take_stock
from webhook.policy.definition import definition
from webhook.policy.diagnosis.cluster import LEASE
from webhook.policy.diagnosis.expected import SERVICE
from webhook.policy.diagnosis.facts import Certificate, Facts, Fence, Gateways, Manifest
from webhook.policy.diagnosis.gateways import FOREIGN_SUFFIX
from webhook.policy.diagnosis.line import Unread
from webhook.policy.diagnosis.registration import webhooks
from webhook.policy.names import COMPONENT, MIGRATION_COMPONENT

_PAGE: Final = 100
_SECONDS: Final = 30.0
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


async def examine(client: Client, namespace: str, canary_namespace: str, now: Callable[[], datetime]) -> Facts:
    """Look at the installation in a namespace; the canary is sent into another.

    ``now`` gives this computer's time, aware. Raises ClusterErrors, but for what may not be read.
    """
    look = _Look(client)
    version, server_time, local_time = await _moment(client, now)
    lease = await look.one(LEASES, namespace, LEASE)  # at once: its time is compared with the server's
    registrations = await look.registrations()
    gateways = await _gateways(client, server_time)
    records = () if isinstance(gateways, Unread) else gateways.records
    held, almighty = await held_rights(client, namespace, sorted({record.namespace for record in records}))
    return Facts(
        namespace=namespace,
        server_time=server_time,
        local_time=local_time,
        version=version,
        definition=await look.one(_DEFINITIONS, "", definition()["metadata"]["name"]),
        registrations=registrations,
        other_webhooks=await look.others(),
        fence=await look.fence(),
        service=await look.one(_SERVICES, namespace, SERVICE),
        slices=await look.all(_SLICES, namespace, f"kubernetes.io/service-name={SERVICE}"),
        certificate=await look.certificate(namespace, registrations, server_time),
        canary=await canary.send(client, canary_namespace),
        rights=held,
        almighty=almighty,
        lease=lease,
        labels=await look.labels(),
        gateways=gateways,
        jobs=await look.jobs(),
    )


async def _moment(client: Client, now: Callable[[], datetime]) -> tuple[str, datetime, datetime]:
    """Give the API server's version, its time, and ours in the middle of the call."""
    told: list[datetime | None] = []
    before = now()
    raw = await client.request("GET", "/version", heard=lambda answer: told.append(answer.date))
    local = before + (now() - before) / 2
    return str(msgspec.json.decode(raw).get("gitVersion", "")), told[0] or local, local


class _Look:
    """Reads whole objects; what is forbidden is named, what is not there is None."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def one(self, resource: Resource, namespace: str, name: str) -> Manifest | Unread | None:
        """Give one object."""
        try:
            raw = await self._client.request("GET", resource.path(namespace, name))
        except NotFoundError:
            return None
        except ForbiddenError:
            return Unread(f"get {_kind(resource)} {name}{f' in namespace {namespace}' if namespace else ''}")
        found: Manifest = msgspec.json.decode(raw)
        return found

    async def all(self, resource: Resource, namespace: str = "", selector: str = "") -> list[Manifest] | Unread:
        """Give all objects of a kind, none of one that is not served."""
        return await self._listed(resource, namespace, selector, lambda _: True)

    async def registrations(self) -> Mapping[str, Manifest | None] | Unread:
        """Give the webhook configurations of our name."""
        found: dict[str, Manifest | None] = {}
        for kind, resource in KINDS.items():
            item = await self.one(resource, "", NAME)
            if isinstance(item, Unread):
                return item
            found[kind] = item
        return found

    async def others(self) -> tuple[str, ...] | Unread:
        """Name the other mutating webhook configurations that are asked about new pods."""
        found = await self.all(KINDS["mutating"])
        if isinstance(found, Unread):
            return found
        names = [item["metadata"]["name"] for item in found if any(map(_about_pods, item.get("webhooks") or ()))]
        return tuple(sorted(name for name in names if name != NAME))

    async def fence(self) -> Fence | Unread:
        """Give all ValidatingAdmissionPolicies and their bindings."""
        policies, bindings = await self.all(_POLICIES), await self.all(_BINDINGS)
        if isinstance(policies, Unread):
            return policies
        return bindings if isinstance(bindings, Unread) else Fence(policies=policies, bindings=bindings)

    async def labels(self) -> Mapping[str, Mapping[str, str]] | Unread:
        """Give the labels of every namespace."""
        found = await self.all(NAMESPACES)
        if isinstance(found, Unread):
            return found
        return {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in found}

    async def jobs(self) -> list[Manifest] | Unread:
        """Give the Jobs that say that they migrate, by their name or label."""

        def migrates(job: Manifest) -> bool:
            meta = job["metadata"]
            labelled = (meta.get("labels") or {}).get(COMPONENT) == MIGRATION_COMPONENT
            return labelled or str(meta["name"]).endswith(FOREIGN_SUFFIX)

        return await self._listed(JOBS, "", "", migrates)

    async def certificate(
        self, namespace: str, registrations: Mapping[str, Manifest | None] | Unread, now: datetime
    ) -> Certificate | Unread:
        """Give what is stored for the webhooks to show, and which of their CA bundles verify it."""
        deployment = await self.one(DEPLOYMENTS, namespace, SERVICE)
        secret = LEAF if isinstance(deployment, Unread) or deployment is None else _mounted(deployment)
        try:
            raw = await self._client.request("GET", SECRETS.path(namespace, secret))
        except NotFoundError:
            return Certificate(secret=secret, problem="there is no such Secret")
        except ForbiddenError:
            return Unread(f"get secrets {secret} in namespace {namespace}")
        leaf = leaf_in(read_secret(raw))
        if not isinstance(leaf, KeyPair):
            return Certificate(secret=secret, problem=f"what it holds cannot be used: {leaf.value}")
        hooks = {} if isinstance(registrations, Unread) else webhooks(registrations)
        bundles = {name: _bundle(hook["clientConfig"]) for name, hook in hooks.items()}
        return Certificate(
            secret=secret,
            names=(*leaf.dns_names, *map(str, leaf.ip_addresses)),
            start=leaf.not_before,
            end=leaf.not_after,
            verified={name: verifies(bundle, leaf, now) for name, bundle in bundles.items()},
        )

    async def _listed(
        self, resource: Resource, namespace: str, selector: str, keep: Callable[[Manifest], bool]
    ) -> list[Manifest] | Unread:
        found: list[Manifest] = []

        def take(items: list[msgspec.Raw]) -> None:
            found.extend(item for raw in items if keep(item := msgspec.json.decode(raw)))

        query = {"labelSelector": selector} if selector else {}
        try:
            await list_all(self._client, resource.path(namespace), query, JSON, _PAGE, _SECONDS, take)
        except NotFoundError:
            return []
        except ForbiddenError:
            where = f"namespace {namespace}" if namespace else "all namespaces"
            return Unread(f"list {_kind(resource)}{f' in {where}' if resource.namespaced else ''}")
        return found


async def _gateways(client: Client, now: datetime) -> Gateways | Unread:
    try:
        stock = await take_stock(client)
    except ForbiddenError:
        return Unread("list deployments.apps and gatewaymigrations.schemagate.io in all namespaces")
    # Without any of these a Gateway that somebody guards could look like one that nobody does.
    if unread := sorted(stock.unread & {"ConfigMap", "Gateway", "Namespace"}):
        return Unread(f"read {' and '.join(f'{kind}s' for kind in unread)} in all namespaces")
    result = scan(stock, now)
    found = result.only([Rule.UNGOVERNED]).findings
    return Gateways(
        records=tuple(stock.records.values()),
        ungoverned=tuple(sorted(f"{item.namespace}/{item.name}" for item in found)),
        count=len(result.gateways),
        namespaces=frozenset(namespace for namespace, _ in result.gateways),
    )


def _kind(resource: Resource) -> str:
    return f"{resource.plural}{f'.{resource.group}' if resource.group else ''}"


def _mounted(deployment: Manifest) -> str:
    """Name the Secret that the webhooks mount their certificate from; else the one that the controller keeps."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes") or ()
    names = [volume["secret"]["secretName"] for volume in volumes if volume.get("secret", {}).get("secretName")]
    return names[0] if names else LEAF


def _bundle(config: Manifest) -> bytes:
    return base64.b64decode(config.get("caBundle") or "")


def _about_pods(hook: Manifest) -> bool:
    """Tell whether a webhook is asked about pods that are created."""
    return any(
        {"", "*"} & set(rule.get("apiGroups") or ())
        and {"pods", "*", "*/*", "pods/*"} & set(rule.get("resources") or ())
        and {"CREATE", "*"} & set(rule.get("operations") or ())
        for rule in hook.get("rules") or ()
    )
