"""The migration Job of an operator or chart, for the runner External: whether it migrates for the wanted inputs.

Weaker evidence than a Job of ours, and taken only where somebody asks for it: who may create Jobs may imitate this
one. Whether its pods did as the Job says is checked as for ours (``evidence.tampering``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from webhook.policy.database import jdbc
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.environment import ConfigMaps, resolve
from webhook.policy.gateway import mounts
from webhook.policy.inputs import MigrationInputs, migration_inputs
from webhook.policy.names import (
    DISKLESS_CONFIG,
    EXTRA_JAVA_ARGS,
    GATEWAY_API_VERSION,
    GATEWAY_KIND,
    LICENSE_PATH,
    MIGRATION_COMPONENT,
    MODE_LIQUIBASE_ONLY,
    MODE_LIQUIBASE_ONLY_WITH_UNLOCK,
    SSG_DATABASE_JDBC_URL,
)
from webhook.policy.objects import Container, EnvVar, ObjectMeta, PodSpec, view
from webhook.policy.pod.java_args import modes
from webhook.policy.record import RecordSpec

_Manifest = Mapping[str, Any]

_GROUP = GATEWAY_API_VERSION.partition("/")[0]
_MIGRATING = frozenset({MODE_LIQUIBASE_ONLY, MODE_LIQUIBASE_ONLY_WITH_UNLOCK})
_HOOK = "helm.sh/hook"
# Before the Deployment: a hook that comes after it migrates too late to be waited for.
_HOOKS = frozenset({"pre-install", "pre-upgrade"})
_NODE_PROPERTIES = "node.properties:"
_NO_MAPS: ConfigMaps = MappingProxyType({})


def external_name(deployment: str) -> str:
    """Give the name that operator and chart give their Job; ours never have it."""
    return f"{deployment}-{MIGRATION_COMPONENT}"


def external_job(
    job: _Manifest | None,
    *,
    name: str,
    inputs: MigrationInputs,
    gateway_uid: str | None,
    config_maps: ConfigMaps = _NO_MAPS,
) -> str | None:
    """Say why the Job does not count for these inputs, or give None when it does, however it stands.

    ``job`` is the stored Job of that name (whole manifest), None without one; ``gateway_uid`` is the UID of the
    stored Gateway resource, if there is one. ``config_maps`` are those that the Job's environment refers to; what
    it takes from maps that are not given is not judged.
    """
    named = f"Job {external_name(name)}"
    if job is None:
        # A Job that Helm deletes as it succeeds is gone before anybody looks at it.
        stay = "a Helm hook needs hook-delete-policy before-hook-creation, not hook-succeeded"
        problem = f"there is no {named}; waiting for the operator or chart to run it for {inputs.image}; {stay}"
        return printable(problem, MESSAGE_LIMIT)
    try:
        wrong = _wrong(job, inputs, gateway_uid, config_maps)
    except msgspec.ValidationError as error:
        wrong = f"cannot be read: {error}"
    return printable(f"{named} {wrong}", MESSAGE_LIMIT) if wrong else None


def _wrong(
    job: _Manifest, inputs: MigrationInputs, gateway_uid: str | None, config_maps: ConfigMaps
) -> str | None:
    runner = _runner(view(ObjectMeta, job.get("metadata") or {}), gateway_uid)
    if runner is None:
        return "belongs neither to the Gateway resource nor to a Helm hook that runs before the rollout"
    raw = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    spec = view(PodSpec, raw)
    at = _gateway_like(spec)
    if at is None:
        return "has no container that is surely the Gateway"
    container, whole = (spec.containers or ())[at], raw["containers"][at]
    if container.image != inputs.image:
        return (
            f"runs image {container.image}, not {inputs.image}; waiting for the {runner} to run it for the latter"
        )
    if whole.get("command") or whole.get("args"):
        return "overrides the entrypoint of its image, so that its success tells nothing of the schema"
    if not _migrates(container):
        return f"does not say mode {MODE_LIQUIBASE_ONLY} in an {EXTRA_JAVA_ARGS} of its own"
    return _elsewhere(spec, container, inputs, config_maps)


def _runner(meta: ObjectMeta, gateway_uid: str | None) -> str | None:
    """Name who the Job belongs to: the operator of our Gateway, a chart, or nobody we know (None)."""
    owner = meta.controller(GATEWAY_KIND)
    group = owner.api_version.partition("/")[0] if owner else ""
    if owner and group == _GROUP and gateway_uid and owner.uid == gateway_uid:
        return "operator"
    # Hooks carry none of the annotations by which Helm marks what belongs to a release.
    hooks = {hook.strip() for hook in (meta.annotation(_HOOK) or "").split(",")}
    return "chart" if hooks & _HOOKS else None


def _gateway_like(spec: PodSpec) -> int | None:
    """Give the index of the one container that mounts the license, or of the only container there is."""
    containers = spec.containers or ()
    licensed = [at for at, container in enumerate(containers) if mounts(container, LICENSE_PATH)]
    found = licensed or list(range(len(containers)))
    return found[0] if len(found) == 1 else None


def _migrates(container: Container) -> bool:
    """Tell whether the container's own arguments say so, and nothing else: the last entry of a name wins.

    Every mode in them has to, since it is not known which one the entrypoint would take.
    """
    own = [variable for variable in container.env or () if variable.name == EXTRA_JAVA_ARGS]
    text = (own[-1].value or "") if own else ""
    found = modes(text)
    return bool(found) and "$(" not in text and _MIGRATING.issuperset(found)


def _elsewhere(
    spec: PodSpec, container: Container, inputs: MigrationInputs, config_maps: ConfigMaps
) -> str | None:
    """Say that the Job migrates another database, or may."""
    environment = resolve(container, config_maps)
    in_file = inputs.jdbc_url.startswith(_NODE_PROPERTIES)
    diskless = environment.known(DISKLESS_CONFIG)
    if diskless is not None and (diskless.strip().lower() == "false") is not in_file:
        return f"sets {DISKLESS_CONFIG} to {diskless}, other than the Gateway, and so migrates another database"
    mounted = _as_mounted(spec, container)
    if mounted.network != inputs.network:
        return (
            "has other hostAliases or DNS settings than the Gateway, so that its database may be another; "
            "set runner: Schemagate in the record, or give it the same"
        )
    if in_file:
        same = mounted.jdbc_url == inputs.jdbc_url
        return None if same else f"takes its database from {mounted.jdbc_url}, not from {inputs.jdbc_url}"
    url = environment.known(SSG_DATABASE_JDBC_URL)
    # From a Secret, or a ConfigMap that was not given: not judged.
    return None if url is None else _other_database(url, inputs)


def _as_mounted(spec: PodSpec, container: Container) -> MigrationInputs:
    """Give the inputs as they would be with node.properties: where that file and the host names lead."""
    variables = (EnvVar(name=DISKLESS_CONFIG, value="false"),)
    bare = msgspec.structs.replace(container, env=variables, env_from=None)
    found = migration_inputs(spec, bare, RecordSpec(), {})
    return found or MigrationInputs(image=container.image, jdbc_url=f"{_NODE_PROPERTIES}none")


def _other_database(url: str, inputs: MigrationInputs) -> str | None:
    """Compare what the URLs lead to: properties may differ, as ``createDatabaseIfNotExist`` does by design."""
    try:
        database = jdbc.parse(url).database_key
    except jdbc.JdbcUrlError as error:
        return f"has a {SSG_DATABASE_JDBC_URL} that cannot be told: {error}"
    if database == inputs.database:
        return None
    wanted = inputs.database or inputs.jdbc_url
    return f"migrates {database}, not {wanted}; if both are one, name the former in spec.jdbcUrl of the record"
