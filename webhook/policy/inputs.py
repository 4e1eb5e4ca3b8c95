"""The inputs of a migration and their hash: what decides whether a rollout needs a new one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec

from webhook.policy.database import jdbc
from webhook.policy.environment import TOO_LONG, ConfigMaps, Environment, Secretive, resolve
from webhook.policy.gateway import node_properties_volume
from webhook.policy.names import DISKLESS_CONFIG, SSG_DATABASE_JDBC_URL
from webhook.policy.objects import Container, PodSpec
from webhook.policy.record import RecordSpec

FORMAT = 1
"""Number of the canonical form. Raise it with every change of the pre-image: all hashes change with it."""

IMAGE_LIMIT = 1024
"""Longest image that a record holds, in characters."""
URL_LIMIT = 8192
"""Longest URL, or name of the place where it lies, that a record holds."""
_USUAL_POLICY = frozenset({"ClusterFirst", "", None})


@dataclass(frozen=True, slots=True)
class MigrationInputs:
    """What a migration depends on.

    ``jdbc_url`` carries no credentials; it is a JDBC URL, ``node.properties:<secret>`` or
    ``secret:<name>/<key>`` where the URL lies in a place that is not read. ``network`` is canonical JSON of the
    pod fields that decide where a host name leads. ``database`` names the database across Gateways, None when
    it is not known. ``problem`` says why the inputs cannot be told; such inputs are never complete.
    ``unread`` tells two URLs apart that are no JDBC URLs: their digest, to compare by and never to be shown, since
    there may be a password in them.
    """

    image: str
    jdbc_url: str
    clear_locks: bool = False
    active_deadline_seconds: int = 300
    network: str = "{}"
    database: str | None = None
    problem: str | None = None
    warnings: tuple[str, ...] = ()
    unread: str = field(default="", repr=False)

    @property
    def spec_hash(self) -> str:
        """SHA-256 over the canonical JSON of the inputs: 64 hex digits."""
        return _digest(self.canonical())

    def canonical(self) -> bytes:
        """Give the pre-image: field names and format number included, so that no two input sets share one."""
        return msgspec.json.encode(
            {
                "format": FORMAT,
                "image": self.image,
                "jdbcUrl": self.jdbc_url,
                "clearLocks": self.clear_locks,
                "activeDeadlineSeconds": self.active_deadline_seconds,
                "network": self.network,
            },
            order="sorted",
        )


@lru_cache(maxsize=4096)
def _digest(canonical: bytes) -> str:
    return hashlib.sha256(canonical).hexdigest()


def short(spec_hash: str) -> str:
    """Give the part of a hash that is shown and mirrored: the first 16 hex digits. Never compare by it."""
    return spec_hash[:16]


def migration_inputs(
    pod: PodSpec, container: Container, spec: RecordSpec, config_maps: ConfigMaps
) -> MigrationInputs | None:
    """Work out the inputs as this pod would see them; None when the Gateway has no database to migrate.

    ``config_maps`` holds the ConfigMaps of the pod's namespace by name, at least those that the container
    refers to.
    """
    environment = resolve(container, config_maps)
    url = _effective_url(pod, container, spec, environment)
    if url is None:
        return None
    image, problem = container.image, url.problem
    if len(image) > IMAGE_LIMIT or len(url.text) > URL_LIMIT:  # a record could not hold them
        long = "image" if len(image) > IMAGE_LIMIT else "database's name"
        problem = f"the {long} of container {container.name} is too long to be kept in a record; shorten it"
        image, url = image[:IMAGE_LIMIT], replace(url, text=url.text[:URL_LIMIT])
    return MigrationInputs(
        image=image,
        jdbc_url=url.text,
        clear_locks=spec.clear_locks,
        active_deadline_seconds=spec.active_deadline_seconds,
        network=_network(pod),
        database=url.database,
        problem=problem,
        warnings=url.warnings,
        unread=url.unread,
    )


def out_of_sight(
    container: Container, config_maps: ConfigMaps, old: MigrationInputs | None = None
) -> MigrationInputs | None:
    """Give the inputs of a container whose URL may have gone where it is not read; None if it has just gone.

    Secrets are never read, so that moving the URL into one would look like having no database any more. ``old``
    are the inputs before, None where these had no URL in sight either.
    """
    hidden = any(
        source.secret_ref and SSG_DATABASE_JDBC_URL.startswith(source.prefix)
        for source in container.env_from or ()
    )
    # A Secret cannot change what stands in env or comes from a later ConfigMap.
    if not hidden or resolve(container, config_maps).certain(SSG_DATABASE_JDBC_URL) is not None:
        return None
    problem = (
        f"{SSG_DATABASE_JDBC_URL} is gone from env and ConfigMaps, and a Secret may hold it, which is not read; "
        "keep it where it was, name the database in spec.jdbcUrl of the record, or set it to an empty text in env "
        "where there is no database any more"
    )
    return replace(old or MigrationInputs("", "unknown"), image=container.image, problem=problem)


@dataclass(frozen=True, slots=True)
class _Url:
    text: str
    database: str | None = None
    problem: str | None = None
    warnings: tuple[str, ...] = ()
    unread: str = ""


def _effective_url(pod: PodSpec, container: Container, spec: RecordSpec, environment: Environment) -> _Url | None:
    url = _url(pod, container, spec, environment)
    if not environment.missing:
        return url
    names = ", ".join(sorted(set(environment.missing)))
    problem = f"the container needs ConfigMap {names}, which does not exist; create it"
    return replace(url or _Url("unknown"), problem=problem)


def _url(pod: PodSpec, container: Container, spec: RecordSpec, environment: Environment) -> _Url | None:
    if (environment.known(DISKLESS_CONFIG) or "").strip().lower() == "false":
        ignored = ("jdbcUrl of the record is ignored: node.properties of this Gateway names its database",)
        return _Url(_node_properties(pod, container), warnings=ignored if spec.jdbc_url else ())
    if spec.jdbc_url:
        return _parsed(spec.jdbc_url, override=True)
    value = environment.values.get(SSG_DATABASE_JDBC_URL)
    if value == TOO_LONG:
        return _Url("invalid", problem=f"{SSG_DATABASE_JDBC_URL} is {TOO_LONG.origin}; write it out shorter")
    if isinstance(value, Secretive):
        return _composed(value) if value.parts else _Url(value.origin)
    # The URL tells its kind of database; a type beside it could say otherwise, and is not asked.
    return _parsed(value, override=False) if value else None


@lru_cache(maxsize=1024)
def _parsed(text: str, *, override: bool) -> _Url | None:
    """Read a URL; remembered, since a cluster has few of them and each is asked for twice a request."""
    try:
        url = jdbc.override(text) if override else jdbc.parse(text)
    except jdbc.JdbcUrlError as error:
        where = "jdbcUrl of the record" if override else SSG_DATABASE_JDBC_URL
        return _Url("invalid", problem=f"{where}: {error}", unread=hashlib.sha256(text.encode()).hexdigest())
    return None if url.embedded else _Url(url.redacted, url.database_key)


def _composed(value: Secretive) -> _Url | None:
    """Read a URL with unknown parts: numbers stand for them, since a host, port, schema and value may be one."""
    known = "".join(part for part in value.parts if isinstance(part, str))
    if len(known) + len(value.parts) > jdbc.MAX_LENGTH:
        return _Url("invalid", problem=f"{SSG_DATABASE_JDBC_URL} is longer than {jdbc.MAX_LENGTH} characters")
    numbers = (str(number) for number in range(65535, 10000, -1) if str(number) not in known)
    places = {part: next(numbers) for part in dict.fromkeys(value.parts) if isinstance(part, Secretive)}
    url = _parsed("".join(part if isinstance(part, str) else places[part] for part in value.parts), override=False)
    if url is None:
        return None
    text = url.text
    for part, number in places.items():
        text = text.replace(number, f"$({part.origin})")
    return replace(url, text=text, database=None)


def _node_properties(pod: PodSpec, container: Container) -> str:
    volume = node_properties_volume(pod, container)
    if volume is None:
        return "node.properties:none"
    if volume.secret:
        return f"node.properties:{volume.secret.secret_name}"
    if volume.config_map:
        return f"node.properties:configmap:{volume.config_map.name}"
    if volume.csi:
        provider = (volume.csi.volume_attributes or {}).get("secretProviderClass", "")
        return f"node.properties:csi:{volume.csi.driver}:{provider}"
    return f"node.properties:volume:{volume.name}"


def _network(pod: PodSpec) -> str:
    """Give the fields that decide where a host name leads; what is empty or a default counts as unset."""
    if not (pod.host_aliases or pod.dns_config or pod.host_network) and pod.dns_policy in _USUAL_POLICY:
        return "{}"
    fields: Mapping[str, Any] = {
        "hostAliases": pod.host_aliases,
        "dnsPolicy": None if pod.dns_policy == "ClusterFirst" else pod.dns_policy,
        "dnsConfig": {name: value for name, value in (pod.dns_config or {}).items() if value},
        "hostNetwork": pod.host_network,
    }
    return msgspec.json.encode({name: value for name, value in fields.items() if value}, order="sorted").decode()
