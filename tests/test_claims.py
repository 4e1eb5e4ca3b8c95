"""Who asks for governance, as it is gathered."""

from __future__ import annotations

from tests.support import builders as make
from webhook.claims import claims_of
from webhook.embedded.cluster import EmbeddedCluster
from webhook.policy.objects import ObjectMeta
from webhook.policy.record import Mode


def test_all_claims_are_found_by_the_deployments_name() -> None:
    cluster = EmbeddedCluster()
    for manifest in (make.namespace(), make.record(), make.gateway()):
        cluster.put(manifest)
    new, old = ObjectMeta(name="ssg", generation=2), ObjectMeta(name="ssg", generation=1)
    found = claims_of(cluster, "team-a", "ssg", (meta for meta in (new, old)), Mode.WARN)
    assert (found.record, found.gateway) == (cluster.record("team-a", "ssg"), cluster.gateway("team-a", "ssg"))
    assert None not in {found.record and found.record.uid, found.gateway and found.gateway.metadata.uid}
    assert found.namespace is cluster.namespace("team-a")
    assert found.deployments == (new, old), "in order: the new one wins"
    assert found.default_mode is Mode.WARN


def test_what_is_not_there_claims_nothing() -> None:
    found = claims_of(EmbeddedCluster(), "team-a", "ssg", ())
    assert (found.record, found.gateway, found.namespace, found.deployments) == (None, None, None, ())
    assert found.default_mode is Mode.REJECT


def test_what_belongs_to_another_claims_nothing() -> None:
    cluster = EmbeddedCluster()
    for manifest in (make.namespace("team-b"), make.record(), make.gateway()):
        cluster.put(manifest)
    assert claims_of(cluster, "team-b", "ssg", ()).gateway is None
    assert claims_of(cluster, "team-a", "other", ()).record is None
