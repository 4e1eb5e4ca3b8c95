"""The environment of a migration Job's container: the Gateway's, in the migrating mode.

The URL of the database is written out wherever it is known: a ConfigMap that changes before the pod starts must
not lead a Job to another database than its hash names.
"""

from collections.abc import Mapping
from typing import Any

import jsonpatch

from webhook.policy.environment import ConfigMaps, escape, resolve
from webhook.policy.inputs import MigrationInputs
from webhook.policy.names import (
    LOCK_WAIT_MINUTES,
    MODE_LIQUIBASE_ONLY,
    MODE_LIQUIBASE_ONLY_WITH_UNLOCK,
    SSG_DATABASE_JDBC_URL,
)
from webhook.policy.objects import Container, view
from webhook.policy.pod.schema_mode import environment_patch
from webhook.policy.record import LogLevel, RecordSpec

_START_MINUTES = 2  # that a pod is given to be scheduled, pull its image and start Java


def environment_of(
    container: Mapping[str, Any], spec: RecordSpec, inputs: MigrationInputs, config_maps: ConfigMaps
) -> list[dict[str, Any]]:
    """Give the environment with the migrating mode; telemetry exporters would keep the pod from ending."""
    override = bool(spec.jdbc_url) and inputs.jdbc_url.startswith("jdbc:")
    entries = [
        entry
        for entry in container.get("env") or []
        if not entry["name"].startswith("OTEL_") and not (override and entry["name"] == SSG_DATABASE_JDBC_URL)
    ]
    if override:
        entries.append({"name": SSG_DATABASE_JDBC_URL, "value": escape(inputs.jdbc_url)})
    elif inputs.jdbc_url.startswith("jdbc:"):
        entries = _pinned(entries, view(Container, {**container, "env": entries}), config_maps)
    injection = environment_patch(
        0,
        view(Container, {**container, "env": entries}),
        config_maps,
        mode=MODE_LIQUIBASE_ONLY_WITH_UNLOCK if spec.clear_locks else MODE_LIQUIBASE_ONLY,
        log_level=(spec.liquibase_log_level or LogLevel.INFO).value,
    )
    pod = {"spec": {"containers": [{"env": entries}]}}
    patched = jsonpatch.apply_patch(pod, [step.to_json() for step in injection.operations])
    env: list[dict[str, Any]] = patched["spec"]["containers"][0]["env"]
    if LOCK_WAIT_MINUTES not in resolve(view(Container, {**container, "env": env}), config_maps).values:
        # Only when it gives up does Liquibase say who holds the lock, and by itself not before the usual deadline.
        minutes = max(1, spec.active_deadline_seconds // 60 - _START_MINUTES)
        env.append({"name": LOCK_WAIT_MINUTES, "value": str(minutes)})
    return env


def _pinned(entries: list[dict[str, Any]], container: Container, config_maps: ConfigMaps) -> list[dict[str, Any]]:
    """Write out the URL if it is known text: the Job migrates what its hash names, whatever changes meanwhile.

    A Secret in ``envFrom`` that comes after the ConfigMap may hold the URL too, and then Gateways use that one: so
    does the Job, by an optional reference, which leaves the variable as it was when there is no such key.
    """
    environment = resolve(container, config_maps)
    url = environment.known(SSG_DATABASE_JDBC_URL)
    if not url:
        return entries
    literal = {"name": SSG_DATABASE_JDBC_URL, "value": escape(url)}
    own = [at for at, entry in enumerate(entries) if entry["name"] == SSG_DATABASE_JDBC_URL]
    if environment.certain(SSG_DATABASE_JDBC_URL) is None:
        # Entries of its own, if any, set nothing. In front, so that references to it see the same.
        rest = [entry for entry in entries if entry["name"] != SSG_DATABASE_JDBC_URL]
        return [literal, *_from_secrets(container, config_maps), *rest]
    return [*entries[: own[-1]], literal, *entries[own[-1] + 1 :]] if own else [literal, *entries]


def _from_secrets(container: Container, config_maps: ConfigMaps) -> list[dict[str, Any]]:
    """Refer to the key that each Secret may hold which overrides the ConfigMaps before it."""
    found: list[dict[str, Any]] = []
    for source in container.env_from or ():
        key = SSG_DATABASE_JDBC_URL.removeprefix(source.prefix)
        if not SSG_DATABASE_JDBC_URL.startswith(source.prefix) or not key:
            continue
        if source.secret_ref is not None:
            reference = {"name": source.secret_ref.name, "key": key, "optional": True}
            found.append({"name": SSG_DATABASE_JDBC_URL, "valueFrom": {"secretKeyRef": reference}})
        elif source.config_map_ref is not None:
            known = config_maps.get(source.config_map_ref.name)
            if known is not None and key in (known.data or {}):
                found.clear()
    return found
