"""Which Secret the webhooks show."""

from pathlib import Path
from typing import Any

import pytest

from tests.kube.doctor.site import Site, facts_of
from tests.support.builders import Manifest
from tests.support.diagnoses import DEPLOYMENTS, running
from webhook.kube.doctor.certificate import mounted
from webhook.policy.diagnosis.facts import Certificate

CERT = {"name": "SCHEMAGATE_TLS_CERT", "value": "/etc/tls/tls.crt"}


def volume(name: str, secret: str) -> Manifest:
    return {"name": name, "secret": {"secretName": secret}}


def deployment(env: list[Manifest], mounts: dict[str, str], *volumes: Manifest) -> Manifest:
    """Give the webhook's Deployment with these volumes, each mounted where it says."""
    item = running(next(each for each in DEPLOYMENTS if each["metadata"]["name"] == "schemagate-webhook"))
    pod: dict[str, Any] = item["spec"]["template"]["spec"]
    pod["volumes"] = list(volumes)
    pod["containers"][0]["env"] += env
    pod["containers"][0]["volumeMounts"] = [{"name": name, "mountPath": path} for name, path in mounts.items()]
    return item


@pytest.mark.parametrize(
    ("item", "secret"),
    [
        (deployment([CERT], {"tls": "/etc/tls"}, volume("tls", "serving")), "serving"),
        (
            deployment(
                [CERT], {"ca": "/etc/ca", "tls": "/etc/tls/"}, volume("ca", "corporate"), volume("tls", "serving")
            ),
            "serving",
        ),
        (deployment([CERT], {"ca": "/etc", "tls": "/etc/tls"}, volume("ca", "a"), volume("tls", "b")), "b"),
        (deployment([], {"ca": "/etc/ca"}, volume("ca", "corporate")), "schemagate-webhook-tls"),
        (deployment([CERT], {"ca": "/etc/ca"}, volume("ca", "corporate")), "schemagate-webhook-tls"),
        (deployment([CERT], {"tls": "/etc/tls"}, {"name": "tls", "emptyDir": {}}), "schemagate-webhook-tls"),
        (deployment([], {}), "schemagate-webhook-tls"),
    ],
    ids=["the one", "beside another", "the nearest", "another, none told", "another", "no Secret", "none"],
)
def test_the_secret_is_the_one_that_lies_where_the_setting_says(item: Manifest, secret: str) -> None:
    assert mounted(item) == secret


async def test_the_secret_that_a_deployment_mounts_is_the_one_that_counts(site: Site, tmp_path: Path) -> None:
    path = f"/apis/apps/v1/namespaces/{site.namespace}/deployments/schemagate-webhook"
    site.objects[path] = deployment([CERT], {"tls": "/etc/tls"}, volume("tls", "schemagate-serving"))
    facts = await facts_of(site, tmp_path)
    assert facts.certificate == Certificate(secret="schemagate-serving", problem="there is no such Secret")
