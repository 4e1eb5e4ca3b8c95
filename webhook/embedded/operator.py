"""Plays an operator with a migration Job of its own (layer7-operator pull request 99): the Job that it makes."""

import copy
from collections.abc import Mapping
from typing import Any

from webhook.policy.names import (
    EXTRA_JAVA_ARGS,
    GATEWAY_API_VERSION,
    GATEWAY_KIND,
    LICENSE_PATH,
    MIGRATION_COMPONENT,
    MODE_LIQUIBASE_ONLY,
    MODE_PROPERTY,
    NODE_PROPERTIES_PATH,
)

Manifest = Mapping[str, Any]
_MOUNTED = (LICENSE_PATH, NODE_PROPERTIES_PATH)


def migration_job(gateway: Manifest, deployment: Manifest) -> dict[str, Any]:
    """Give the Job for a stored Gateway, as it was recorded: no command, no labels, the mode as a literal.

    What its container mounts is taken from the Deployment that the same operator made.
    """
    meta = gateway["metadata"]
    source = deployment["spec"]["template"]["spec"]
    (container,) = (item for item in source["containers"] if _mounts(item, LICENSE_PATH))
    mounts = [mount for mount in container["volumeMounts"] if mount["mountPath"] in _MOUNTED]
    used = {mount["name"] for mount in mounts}
    owner = {"apiVersion": GATEWAY_API_VERSION, "kind": GATEWAY_KIND, "name": meta["name"], "uid": meta["uid"]}
    pod = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": container["name"],
                "image": gateway["spec"]["app"]["image"],
                "envFrom": container["envFrom"],
                "env": [{"name": EXTRA_JAVA_ARGS, "value": f"-D{MODE_PROPERTY}={MODE_LIQUIBASE_ONLY}"}],
                "volumeMounts": mounts,
            }
        ],
        "volumes": [volume for volume in source["volumes"] if volume["name"] in used],
    }
    return copy.deepcopy(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{meta['name']}-{MIGRATION_COMPONENT}",
                "namespace": meta["namespace"],
                "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": {"template": {"spec": pod}},
        }
    )


def _mounts(container: Manifest, path: str) -> bool:
    return any(mount["mountPath"] == path for mount in container.get("volumeMounts") or ())
