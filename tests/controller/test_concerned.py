"""What has to be looked at after a change: one too many costs a look, one too few an outage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support import builders as make
from webhook.controller.concerned import concerned, everything
from webhook.embedded.cluster import EmbeddedCluster
from webhook.policy.names import HASH

Key = tuple[str, str]
OWN = ("team-a", "ssg")


def at(manifest: Mapping[str, Any], namespace: str, name: str, **tweak: Any) -> dict[str, Any]:
    return make.merged(make.merged(manifest, {"metadata": {"namespace": namespace, "name": name}}), tweak)


def phase(name: str, **more: Any) -> dict[str, Any]:
    return {"status": {"phase": name, **more}}


@pytest.fixture
def cluster() -> EmbeddedCluster:
    """In team-a all kinds of Gateways, in team-b one that waits, in team-c one that runs."""
    made = EmbeddedCluster()
    other_map = make.container(envFrom=[{"configMapRef": {"name": "other"}}])
    for manifest in (
        make.deployment(),
        make.gateway(),
        at(make.deployment(other_map), "team-a", "plain"),
        at(make.gateway(), "team-a", "coming"),
        at(make.record(), "team-a", "recorded", **phase("Running", job={"name": "recorded-job"})),
        at(make.record(), "team-a", "old", **phase("Complete", shortHash="0" * 16)),
        at(make.deployment(make.container(volumeMounts=[])), "team-a", "no-gateway"),
        at(make.deployment(), "team-b", "elsewhere"),
        {"kind": "Job", "metadata": {"namespace": "team-a", "name": "forged", "labels": {HASH: "0" * 16}}},
        at(make.record(), "team-b", "waiting", **phase("Waiting")),
        at(make.record(), "team-c", "doubted", **phase("Running", conditions=[DOUBT])),
        at(make.record(), "team-c", "superseded", **phase("Superseded", job={"name": "superseded-job"})),
    ):
        made.put(manifest)
    return made


DOUBT = {"type": "Degraded", "status": "True", "reason": "ForeignJob"}
ALL_OF_A = {("team-a", name) for name in ("ssg", "plain", "coming", "recorded", "old", "no-gateway")}
WAITS = {("team-b", "waiting")}
CASES: dict[str, tuple[str, str, str, set[Key]]] = {
    "a Deployment": ("Deployment", *OWN, {OWN}),
    "a Deployment that is gone": ("Deployment", "team-a", "gone", {("team-a", "gone")}),
    "a Gateway": ("Gateway", *OWN, {OWN}),
    "a record, and who may have waited for its database": ("GatewayMigration", *OWN, {OWN} | WAITS),
    "a namespace": ("Namespace", "", "team-a", ALL_OF_A),
    "another namespace": ("Namespace", "", "team-b", {("team-b", "elsewhere")} | WAITS),
    "a ConfigMap, and Gateways whose Deployment is to come": (
        "ConfigMap",
        "team-a",
        "ssg",
        {OWN, ("team-a", "coming")},
    ),
    "a ConfigMap of another Deployment": (
        "ConfigMap",
        "team-a",
        "other",
        {("team-a", "plain"), ("team-a", "coming")},
    ),
    "a ConfigMap of nobody": ("ConfigMap", "team-b", "nobody", set()),
    "the pod of a Job": ("Pod", "team-a", "recorded-job-x7v2k", {("team-a", "recorded")}),
    "the pod of a Job that is superseded": ("Pod", "team-c", "superseded-job-2b9xz", {("team-c", "superseded")}),
    "the pod of no Job that a record names": ("Pod", "team-a", "recorded-x7v2k", set()),
    "a Job, and who may have waited for its database": (
        "Job",
        "team-a",
        "recorded-job",
        {("team-a", "recorded")} | WAITS,
    ),
    "the Job of another's making": ("Job", "team-a", "old-db-migration", {("team-a", "old")} | WAITS),
    "a Job that says it migrated what a record wants": ("Job", "team-a", "forged", {("team-a", "old")} | WAITS),
    "a Job that is gone, and may have been the one that said it is ours": (
        "Job",
        "team-c",
        "gone",
        {("team-c", "doubted")} | WAITS,
    ),
    "a Job of nobody": ("Job", "team-a", "j", WAITS),
}


@pytest.mark.parametrize(("kind", "namespace", "name", "keys"), CASES.values(), ids=CASES.keys())
def test_a_change_concerns(cluster: EmbeddedCluster, kind: str, namespace: str, name: str, keys: set[Key]) -> None:
    assert concerned(cluster, kind, namespace, name) == keys


def test_everything_is_all_there_is(cluster: EmbeddedCluster) -> None:
    elsewhere = {("team-b", "elsewhere"), ("team-b", "waiting"), ("team-c", "superseded"), ("team-c", "doubted")}
    assert everything(cluster) == ALL_OF_A | elsewhere
    assert everything(cluster, "team-x") == set()
