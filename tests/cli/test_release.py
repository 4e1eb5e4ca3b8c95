"""``schemagate release`` against a cluster that is played: what it does first, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.cli.conftest import Cli
from tests.support import builders as make
from webhook.cli.announcement import Scene
from webhook.cli.release import Release, carry_out
from webhook.errors import (
    ConflictError,
    ForbiddenError,
    NameTakenError,
    NotFoundError,
    SchemagateError,
    UnreachableError,
)
from webhook.policy.gateway_resource import Gateway
from webhook.policy.names import ENFORCE, HELD, MIGRATION_JOB
from webhook.policy.objects import Deployment, Namespace, ObjectMeta, view
from webhook.policy.record import Record

KEY = ("team-a", "ssg")
NOBODY = Namespace()
WEBHOOKS = ["mutatingwebhookconfiguration/schemagate", "validatingwebhookconfiguration/schemagate"]


def held(**spec: Any) -> Deployment:
    head = {"namespace": KEY[0], "annotations": {HELD: "a" * 16}, "uid": "d-1", "resourceVersion": "7"}
    return view(Deployment, make.deployment(metadata=head, spec={"paused": True, **spec}))


def free(deployment: Deployment) -> Deployment:
    return msgspec.structs.replace(
        deployment,
        metadata=msgspec.structs.replace(deployment.metadata, annotations={}),
        spec=msgspec.structs.replace(deployment.spec, paused=False),
    )


def stored(**tweak: Any) -> Record:
    return Record.from_manifest(make.record(metadata={"uid": "u-1"}, **tweak))


class Cluster:
    """Holds one Deployment and at most one record; a gate that stands pauses again what a record guards."""

    def __init__(
        self,
        deployment: Deployment | None = None,
        *,
        record: Record | None = None,
        gateway: Gateway | None = None,
        asks: Namespace | None = NOBODY,
        gate: bool = True,
    ) -> None:
        self.stored = held() if deployment is None else deployment
        self.record, self.gateway, self.asks, self.gate = record, gateway, asks, gate
        self.acts: list[str] = []
        self.errors: dict[str, list[SchemagateError]] = {}
        self.gone = False

    def _act(self, act: str) -> None:
        self.acts.append(act)
        if self.errors.get(act):
            raise self.errors[act].pop(0)

    async def deployment(self, namespace: str, name: str) -> Deployment | None:
        assert (namespace, name) == KEY
        if self.errors.get("read"):
            raise self.errors["read"].pop(0)
        return None if self.gone else self.stored

    async def scene(self, namespace: str, name: str) -> Scene:
        return Scene(
            namespace, name, record=self.record, deployment=self.stored, gateway=self.gateway, asks=self.asks
        )

    async def create(self, record: Record) -> Record:
        self._act("create")
        self.record = record
        return record

    async def disable(self, record: Record) -> Record:
        assert record.uid == "u-1"
        self._act("disable")
        self.gate = False
        return record

    async def resume(self, deployment: Deployment) -> Deployment:
        self._act("resume")
        guarded = self.gate and (self.record is None or self.record.spec.enabled)
        self.stored = self.stored if guarded else free(deployment)
        return self.stored


def releasing(cluster: Cluster, *, guarded: bool = True) -> Release:
    return Release(cluster, *KEY, guarded=guarded)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give the NAME of a Deployment, or --all"),
        (("ssg", "--all"), "give the NAME of a Deployment, or --all"),
        (("ssg", "-A"), "-A goes with --all"),
        (("--all", "-A", "-n", "team-a"), "-A goes with --all, and without -n"),
        (("--all", "--timeout", "0"), "--timeout"),
        (("Ssg",), "expected the name of an object"),
    ],
)
def test_bad_usage_is_told(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli("release", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


async def test_a_stored_record_is_disabled_before_anything_is_resumed() -> None:
    cluster = Cluster(record=stored())
    done = await releasing(cluster).attempt()
    assert cluster.acts == ["disable", "resume"]
    assert done is not None
    assert done.startswith("released; its record is disabled, to guard it again: kubectl patch gwm ssg -n team-a ")


@pytest.mark.parametrize(
    "asks",
    [
        {"gateway": view(Gateway, make.gateway(metadata={"annotations": {MIGRATION_JOB: "enabled"}}))},
        {"asks": view(Namespace, make.namespace(**{ENFORCE: "hold"}))},
    ],
)
async def test_what_is_guarded_without_a_record_gets_a_disabled_one_that_its_source_keeps(
    asks: dict[str, Any],
) -> None:
    cluster = Cluster(**asks)
    assert await releasing(cluster).attempt()
    assert cluster.acts == ["create", "resume"]
    assert cluster.record is not None
    assert (cluster.record.managed, cluster.record.spec.enabled) == (True, False)


async def test_where_the_namespace_may_not_be_read_a_record_of_the_users_own_is_made() -> None:
    cluster = Cluster(asks=None)
    assert await releasing(cluster).attempt()
    assert cluster.record is not None
    assert (cluster.record.managed, cluster.record.spec.enabled) == (False, False)


@pytest.mark.parametrize("record", [None, stored(spec={"enabled": False})])
async def test_what_nobody_guards_is_resumed_and_nothing_else(record: Record | None) -> None:
    cluster = Cluster(record=record, gate=False)
    assert await releasing(cluster).attempt() == "released"
    assert cluster.acts == ["resume"]


async def test_without_webhooks_the_record_is_left_alone() -> None:
    cluster = Cluster(record=stored(), gate=False)
    assert await releasing(cluster, guarded=False).attempt() == "released"
    assert cluster.acts == ["resume"]


async def test_where_the_second_lock_alone_stands_the_record_is_disabled_after_all() -> None:
    cluster = Cluster(record=stored(), gate=False)
    cluster.errors["resume"] = [
        ForbiddenError(
            "PATCH /apis/apps/v1: 403 ValidatingAdmissionPolicy 'deployments.lock.schemagate.io' denied"
        )
    ]
    release = releasing(cluster, guarded=False)
    assert await release.attempt() is None
    assert "deployments.lock" in release.obstacle
    assert await release.attempt()
    assert cluster.acts == ["resume", "disable", "resume"]


async def test_without_a_kind_for_records_the_resume_is_tried_all_the_same() -> None:
    cluster = Cluster(asks=view(Namespace, make.namespace(**{ENFORCE: "hold"})), gate=False)
    cluster.errors["create"] = [NotFoundError("POST /apis/schemagate.io: 404")]
    assert await releasing(cluster).attempt() == "released"


@pytest.mark.parametrize(
    ("deployment", "said"),
    [
        (free(held()), "is not held"),
        (
            msgspec.structs.replace(held(), metadata=ObjectMeta(name="ssg", namespace="team-a")),
            "paused, but not by schemagate: it is left so",
        ),
    ],
)
async def test_what_we_do_not_hold_is_left_as_it_is(deployment: Deployment, said: str) -> None:
    cluster = Cluster(deployment, record=stored())
    assert await releasing(cluster).attempt() == said
    assert await releasing(cluster).preview() == f"team-a/ssg: {said}"
    assert not cluster.acts


async def test_a_job_that_goes_on_is_told() -> None:
    status = {"phase": "Running", "job": {"name": "ssg-db-migration-aaaaaaaa", "uid": "j-1", "hash": "a" * 64}}
    done = await releasing(Cluster(record=stored(status=status))).attempt()
    assert done is not None
    assert "; Job ssg-db-migration-aaaaaaaa still migrates, and new pods wait for its lock; its record" in done


async def test_the_controller_may_be_quicker() -> None:
    cluster = Cluster(record=stored())
    cluster.errors["resume"] = [ConflictError("changed")]
    release = releasing(cluster)
    assert await release.attempt() is None
    cluster.stored = free(cluster.stored)
    done = await release.attempt()
    assert done is not None
    assert done.startswith("released by the controller; its record is disabled")
    assert cluster.acts.count("disable") == 1


async def test_it_goes_on_until_it_is_released(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(record=stored())
    cluster.errors = {
        "read": [UnreachableError("no answer")],
        "disable": [NameTakenError("made meanwhile"), ForbiddenError("a quota")],
    }
    assert await carry_out([releasing(cluster)], WEBHOOKS, 30) == 0
    assert cluster.acts == ["disable", "disable", "disable", "resume"]
    assert capsys.readouterr().out.startswith("team-a/ssg: released")


async def test_webhooks_that_stand_without_records_are_named_with_what_opens_the_gate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Cluster(asks=view(Namespace, make.namespace(**{ENFORCE: "hold"})))
    cluster.errors["create"] = [NotFoundError("404")] * 9
    assert await carry_out([releasing(cluster)], WEBHOOKS, 0) == 1
    told = capsys.readouterr()
    assert told.out == "team-a/ssg: still held: a webhook pauses it again\n"
    assert f"kubectl delete {' '.join(WEBHOOKS)}" in told.err


async def test_one_that_is_deleted_meanwhile_keeps_no_other_from_being_released(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone, other = Cluster(), Cluster(gate=False)
    gone.gone = True
    assert await carry_out([releasing(gone), releasing(other, guarded=False)], [], 0) == 0
    assert capsys.readouterr().out.splitlines() == [
        "team-a/ssg: there is no Deployment team-a/ssg",
        "team-a/ssg: released",
    ]
    with pytest.raises(NotFoundError):
        await carry_out([releasing(gone)], [], 0)


@pytest.mark.parametrize(
    ("cluster", "guarded", "said"),
    [
        (Cluster(record=stored()), True, "would disable its record and resume it"),
        (Cluster(record=stored()), False, "would resume it"),
        (Cluster(asks=None), True, "would make a disabled record and resume it"),
    ],
)
async def test_a_dry_run_says_the_same_and_does_nothing(cluster: Cluster, guarded: bool, said: str) -> None:
    assert await releasing(cluster, guarded=guarded).preview() == f"team-a/ssg: {said}"
    assert not cluster.acts
