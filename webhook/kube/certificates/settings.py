"""What the settings say of certificates: names, lifetimes, and which webhooks are ours."""

from datetime import timedelta
from ipaddress import ip_address

from certs.errors import CertError
from certs.renewal import Names, Policy
from webhook.errors import StartError
from webhook.kube.certificates.registrations import Own
from webhook.settings import Settings


def policy_of(settings: Settings, namespace: str) -> Policy:
    """Give what the settings say of certificates; StartError for a name that none can be."""
    service = f"{settings.service}.{namespace}"
    dns = [settings.service, service, f"{service}.svc", f"{service}.svc.{settings.cluster_domain}"]
    addresses = []
    for name in _more_names(settings):
        try:
            addresses.append(ip_address(name))
        except ValueError:
            dns.append(name)
    policy = Policy(
        Names(tuple(dict.fromkeys(dns)), tuple(dict.fromkeys(addresses))),
        ca_lifetime=timedelta(seconds=settings.ca_lifetime_seconds),
        leaf_lifetime=timedelta(seconds=settings.leaf_lifetime_seconds),
        settle=timedelta(seconds=settings.settle_seconds),
    )
    try:
        policy.names.check()
    except CertError as error:
        raise StartError(f"SCHEMAGATE_CERTIFICATE_NAMES: {error}") from None
    return policy


def own_of(settings: Settings, namespace: str) -> Own:
    """Give what tells our webhooks from others."""
    return Own(namespace, settings.service, frozenset(_more_names(settings)))


def _more_names(settings: Settings) -> list[str]:
    return [name.strip() for name in settings.certificate_names.split(",") if name.strip()]
