"""A request that changes nothing and shows whether the API server puts Deployments to schemagate.

It is a Deployment with the mount of a Gateway, of a version that is too old to be guarded: of that schemagate
warns, whatever the mode, and it denies nothing. It is created by a dry run, without replicas and paused.
"""

import uuid
from typing import Any, Final

from webhook.errors import ClusterError, ForbiddenError, UnreachableError
from webhook.kube.api.client import Client
from webhook.kube.api.transport import Answer
from webhook.kube.resources import DEPLOYMENTS
from webhook.policy.diagnosis.facts import Canary
from webhook.policy.diagnosis.line import Unread
from webhook.policy.names import LICENSE_PATH, MIGRATION_JOB, MIGRATION_JOB_ENABLED, SSG_DATABASE_JDBC_URL

VERSION: Final = "11.1.0"
_SECONDS: Final = 20.0
"""Longer than the API server gives our webhooks, so that it is the API server that says which failed."""


async def send(client: Client, namespace: str) -> Canary | Unread:
    """Send a canary through an API server into a namespace, and give what it said."""
    warnings: list[str] = []

    def heard(answer: Answer) -> None:
        warnings.extend(answer.warnings)

    path, query = DEPLOYMENTS.path(namespace), {"dryRun": "All"}
    refusal = ""
    try:
        await client.request("POST", path, query=query, body=_deployment(), timeout=_SECONDS, heard=heard)
    except ForbiddenError as error:
        if "cannot create resource" in str(error):  # said by authorization, not by admission
            return Unread(f"create deployments.apps in namespace {namespace}")
        refusal = str(error)
    except ClusterError as error:
        refusal = str(error)
        if isinstance(error, UnreachableError) and "webhook" not in refusal:
            return Unread(cause=refusal)  # nobody judged it
    return Canary(namespace=namespace, version=VERSION, warnings=tuple(warnings), refusal=refusal)


def _deployment() -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "schemagate-canary"}
    # Names under .invalid lead nowhere (RFC 2606 2).
    container = {
        "name": "gateway",
        "image": f"schemagate.invalid/canary:{VERSION}",
        "env": [{"name": SSG_DATABASE_JDBC_URL, "value": "jdbc:mysql://canary.invalid:3306/canary"}],
        "volumeMounts": [{"name": "license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "license", "secret": {"secretName": "none"}}]}
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {
            "name": f"schemagate-canary-{uuid.uuid4().hex[:8]}",
            "labels": labels,
            "annotations": {MIGRATION_JOB: MIGRATION_JOB_ENABLED},
        },
        "spec": {
            "replicas": 0,
            "paused": True,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
