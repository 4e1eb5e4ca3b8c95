"""What values make of the pods: their time to end, their quota, their volumes."""

import pytest

from tests.manifests.rendering import by_key, templated
from tests.manifests.test_workloads import environment


@pytest.mark.parametrize(("seconds", "grace"), [(3, 30), (37.5, 30), (60, 45), (100, 72)])
def test_the_controller_gets_the_time_to_give_up_its_lease(seconds: float, grace: int) -> None:
    found = by_key(templated({"settings": {"lease_seconds": seconds, "drain_seconds": 100}}))
    pods = {
        role: found["Deployment", "schemagate", f"schemagate-{role}"]["spec"]["template"]["spec"]
        for role in ("webhook", "controller")
    }
    assert pods["controller"]["terminationGracePeriodSeconds"] == grace
    assert pods["webhook"]["terminationGracePeriodSeconds"] == 135


def test_the_quota_for_critical_pods_goes_with_them() -> None:
    def quotas(**classes: str) -> list[str]:
        values = {f"{role}.priorityClassName": name for role, name in classes.items()}
        return [item["metadata"]["name"] for item in templated(values) if item["kind"] == "ResourceQuota"]

    assert quotas(webhook="") == ["schemagate-critical-pods"]
    assert quotas(webhook="", controller="gateways-high") == []


def test_a_client_ca_stands_beside_the_certificate() -> None:
    found = by_key(templated({"certificates.source": "cert-manager", "webhook.clientCA.secret": "callers"}))
    pod = found["Deployment", "schemagate", "schemagate-webhook"]["spec"]["template"]["spec"]
    named = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"]}
    assert named == {"tls": "schemagate-serving", "client-ca": "callers"}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    told = environment(found["Deployment", "schemagate", "schemagate-webhook"])
    assert told["SCHEMAGATE_CLIENT_CA"] == f"{mounts['client-ca']}/ca.crt"
    assert told["SCHEMAGATE_TLS_CA"] == f"{mounts['tls']}/ca.crt"
    assert "SCHEMAGATE_CLIENT_NAMES" not in told
    controller = found["Deployment", "schemagate", "schemagate-controller"]["spec"]["template"]["spec"]
    assert "volumes" not in controller
