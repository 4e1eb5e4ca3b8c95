"""Every way to install is well in the doctor's eyes, as Helm and kubectl render it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.kube.doctor.site import Site, facts_of
from tests.manifests.rendering import overlay, templated
from tests.support import builders as make
from tests.support.builders import Manifest
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.line import Level

SERVING = "schemagate-serving"
Render = Callable[[], Sequence[Manifest]]


@pytest.mark.parametrize(
    ("render", "namespace", "secret", "migrating"),
    [
        (lambda: templated(), "schemagate", "schemagate-webhook-tls", "team-a"),
        (lambda: templated(namespace="gate-2"), "gate-2", "schemagate-webhook-tls", "team-a"),
        (lambda: templated({"certificates.source": "cert-manager"}), "schemagate", SERVING, "team-a"),
        (lambda: templated({"namespaces": ["team-a"]}), "schemagate", "schemagate-webhook-tls", "team-a"),
        (
            lambda: templated(
                {"namespaces": ["team-b"], "certificates.source": "cert-manager"}, namespace="gate-2"
            ),
            "gate-2",
            SERVING,
            "team-b",
        ),
        (lambda: overlay("self-managed"), "schemagate", "schemagate-webhook-tls", "team-a"),
        (lambda: overlay("cert-manager"), "schemagate", SERVING, "team-a"),
        (lambda: overlay("namespaced"), "schemagate", "schemagate-webhook-tls", "gateways"),
        (lambda: overlay("kind"), "schemagate", SERVING, "team-a"),
    ],
    ids=[
        "chart",
        "chart elsewhere",
        "chart with cert-manager",
        "chart for namespaces",
        "chart with all of it",
        "self-managed",
        "cert-manager",
        "namespaced",
        "kind",
    ],
)
async def test_a_way_to_install_is_well(
    render: Render, namespace: str, secret: str, migrating: str, tmp_path: Path
) -> None:
    site = Site(render(), namespace, secret)
    site.store("/api/v1/namespaces", migrating)
    site.keep(make.record(metadata={"namespace": migrating}))
    lines = diagnose(await facts_of(site, tmp_path))
    assert [line for line in lines if line.level is not Level.OK] == []


@pytest.mark.parametrize(("bound", "lacks"), [("team-a", False), ("team-b", True)])
async def test_a_namespace_that_is_not_named_lacks_its_binding(bound: str, lacks: bool, tmp_path: Path) -> None:
    site = Site(templated({"namespaces": [bound]}))
    site.keep(make.record())
    lines = [line for line in diagnose(await facts_of(site, tmp_path)) if line.level is not Level.OK]
    assert [line.level for line in lines] == [Level.FAIL] * lacks
    assert all("bind ClusterRole schemagate-migrations" in line.advice for line in lines)
