"""What is stored for the webhooks to show, and whether those who call them would believe it."""

import base64
from collections.abc import Mapping
from datetime import datetime

from certs.bundle import verifies
from certs.pair import KeyPair
from webhook.kube.certificates.keeper import leaf_in
from webhook.kube.certificates.secrets import LEAF, SECRETS, read_secret
from webhook.kube.doctor.look import Look
from webhook.policy.diagnosis.expected import SERVICE
from webhook.policy.diagnosis.facts import Certificate, Manifest
from webhook.policy.diagnosis.line import Unread
from webhook.policy.diagnosis.processes import process_of, setting_of
from webhook.policy.diagnosis.registration import webhooks

Stored = Mapping[str, Manifest | None] | Unread


async def certificate(
    look: Look, namespace: str, deployments: Stored, registrations: Stored, now: datetime
) -> Certificate | Unread:
    """Give what is stored for the webhooks to show, and which of their CA bundles verify it."""
    if isinstance(deployments, Unread):
        return deployments  # nobody knows which Secret it is
    webhook = deployments.get(SERVICE)
    secret = mounted(webhook) if webhook else LEAF
    raw = await look.raw(SECRETS, namespace, secret)
    if isinstance(raw, Unread):
        return raw
    if raw is None:
        return Certificate(secret=secret, problem="there is no such Secret")
    leaf = leaf_in(read_secret(raw))
    if not isinstance(leaf, KeyPair):
        return Certificate(secret=secret, problem=f"what it holds cannot be used: {leaf.value}")
    hooks = {} if isinstance(registrations, Unread) else webhooks(registrations)
    bundles = {name: base64.b64decode(hook["clientConfig"].get("caBundle") or "") for name, hook in hooks.items()}
    return Certificate(
        secret=secret,
        names=(*leaf.dns_names, *map(str, leaf.ip_addresses)),
        start=leaf.not_before,
        end=leaf.not_after,
        verified={name: verifies(bundle, leaf, now) for name, bundle in bundles.items()},
    )


def mounted(webhook: Manifest) -> str:
    """Name the Secret that the webhooks read their certificate from; else the one that the controller keeps.

    A Deployment may mount other Secrets: it counts which one lies where the setting says.
    """
    container = process_of(webhook) or {}
    path = setting_of(container, "tls_cert")
    mounts = [each for each in container.get("volumeMounts") or () if _holds(each["mountPath"], path)]
    nearest = max(mounts, key=lambda each: len(each["mountPath"]), default=None)
    volumes = webhook["spec"]["template"]["spec"].get("volumes") or ()
    names = [
        volume["secret"]["secretName"]
        for volume in volumes
        if nearest and volume["name"] == nearest["name"] and (volume.get("secret") or {}).get("secretName")
    ]
    return str(names[0]) if names else LEAF


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
