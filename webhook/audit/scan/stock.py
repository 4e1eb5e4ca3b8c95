"""What a cluster holds that the scan looks at, as the rules' own views: from an API server or from files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from webhook.policy.environment import ConfigMaps, config_maps_of
from webhook.policy.gateway import gateway_container
from webhook.policy.gateway_resource import Gateway
from webhook.policy.objects import ConfigMap, Container, Deployment, Namespace, ObjectMeta, Pod
from webhook.policy.record import Mode, Record

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The objects of a cluster, or of some of its namespaces.

    ``config_maps`` holds at least those that Gateways refer to. ``unread`` names the kinds that could not be
    read: rules that would need them are silent rather than wrong. Records and Deployments must have been read.
    """

    deployments: Sequence[Deployment] = ()
    records: Mapping[Key, Record] = field(default_factory=dict)
    gateways: Mapping[Key, Gateway] = field(default_factory=dict)
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    pods: Sequence[Pod] = ()
    config_maps: Mapping[Key, ConfigMap] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    default_mode: Mode = Mode.REJECT

    def config_maps_for(self, namespace: str, container: Container) -> ConfigMaps:
        """Give the ConfigMaps that a container refers to, by name; None where there is none."""
        return {name: self.config_maps.get((namespace, name)) for name in sorted(config_maps_of(container))}


def key_of(meta: ObjectMeta) -> Key:
    """Give the namespace and name of an object."""
    return meta.namespace, meta.name


def wanted_config_maps(deployments: Iterable[Deployment]) -> list[Key]:
    """Give the ConfigMaps that the gateway containers of readable Deployments refer to, sorted.

    Raises msgspec.ValidationError for a template that cannot be decoded.
    """
    wanted: set[Key] = set()
    for deployment in deployments:
        container = gateway_container(deployment.template().spec, (deployment.metadata,))
        if container is not None:
            wanted.update((deployment.metadata.namespace, name) for name in config_maps_of(container))
    return sorted(wanted)
