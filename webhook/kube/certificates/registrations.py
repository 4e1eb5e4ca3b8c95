"""Our two webhook configurations: which of their webhooks lead to us, and which CA bundle each holds."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from webhook.errors import NotFoundError
from webhook.kube.api.client import Client
from webhook.kube.informer.listing import Object
from webhook.kube.resources import Resource
from webhook.policy.names import INJECT, PRODUCT

NAME: Final = PRODUCT
"""The name of both configurations."""
MANAGER: Final = f"{PRODUCT}-certificates"
"""Who writes their CA bundles, in ``managedFields``."""
KINDS: Final = {
    kind.lower(): Resource(
        "admissionregistration.k8s.io",
        "v1",
        f"{kind.lower()}webhookconfigurations",
        f"{kind}WebhookConfiguration",
        namespaced=False,
    )
    for kind in ("Mutating", "Validating")
}
"""Their resources, by the word that metrics and messages use."""

_JSON_PATCH: Final = "application/json-patch+json"


class _Service(msgspec.Struct, frozen=True):
    namespace: str = ""
    name: str = ""


class _ClientConfig(msgspec.Struct, frozen=True, rename="camel"):
    service: _Service | None = None
    url: str | None = None
    ca_bundle: bytes | None = None


class _Webhook(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    client_config: _ClientConfig


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Configuration(msgspec.Struct, frozen=True):
    metadata: _Metadata
    webhooks: list[_Webhook] | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """What leads to us: a Service, or a URL with one of these hosts."""

    namespace: str
    service: str
    hosts: frozenset[str] = frozenset()

    def __contains__(self, config: object) -> bool:
        if not isinstance(config, _ClientConfig):
            return False
        if config.service is not None:
            return (config.service.namespace, config.service.name) == (self.namespace, self.service)
        return (urlsplit(config.url or "").hostname or "") in self.hosts


@dataclass(frozen=True, slots=True)
class Registration:
    """One configuration at one moment: the CA bundles of our webhooks, by position and name.

    ``injected`` says that cert-manager's injector is asked to write them.
    """

    kind: str
    version: str
    bundles: dict[tuple[int, str], bytes]
    injected: bool = False

    def live(self) -> dict[str, bytes]:
        """Give the bundles by a name that tells all webhooks of both configurations apart."""
        return {f"{self.kind}/{at}/{name}": bundle for (at, name), bundle in self.bundles.items()}

    def patch(self, bundle: bytes) -> list[dict[str, Any]]:
        """Give the JSON patch that brings all webhooks to this bundle, if nothing changed in between."""
        encoded = msgspec.to_builtins(bundle)
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": self.version}
        ]
        for (at, name), held in self.bundles.items():
            if held != bundle:
                path = f"/webhooks/{at}"
                operations += [
                    {"op": "test", "path": f"{path}/name", "value": name},
                    {"op": "add", "path": f"{path}/clientConfig/caBundle", "value": encoded},
                ]
        return operations


def read(kind: str, own: Own, raw: Object) -> Registration:
    """Read a configuration; msgspec's error when it is none."""
    found = msgspec.json.decode(raw, type=_Configuration)
    bundles = {
        (at, webhook.name): webhook.client_config.ca_bundle or b""
        for at, webhook in enumerate(found.webhooks or ())
        if webhook.client_config in own
    }
    injected = any(name.startswith(INJECT) for name in found.metadata.annotations or {})
    return Registration(kind, found.metadata.resource_version, bundles, injected)


class Registrations:
    """Reads and mends the CA bundles of both configurations."""

    def __init__(self, client: Client, writer: Client, own: Own) -> None:
        self._client = client
        self._writer = writer
        self._own = own

    async def read(self) -> list[Registration]:
        """Give what is stored right now; a configuration that does not exist is left out."""
        found: list[Registration] = []
        for kind, resource in KINDS.items():
            try:
                raw = await self._client.request("GET", resource.path(name=NAME))
            except NotFoundError:
                continue
            found.append(read(kind, self._own, raw))
        return found

    async def mend(self, registration: Registration, bundle: bytes) -> None:
        """Write the bundle where another is held; RejectedError when the configuration is not as it was read."""
        await self._writer.request(
            "PATCH",
            KINDS[registration.kind].path(name=NAME),
            query={"fieldManager": MANAGER},
            body=registration.patch(bundle),
            content_type=_JSON_PATCH,
        )
