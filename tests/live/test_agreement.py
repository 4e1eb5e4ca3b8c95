"""All that a rejection is told in agrees: every reason in every mode is told once everywhere, and alike."""

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import STRATEGIC, ApiError, Client, until
from tests.controlplane.cluster import ControlPlane
from tests.live import sinks
from tests.live.faults import fleet
from tests.live.installation import Installation, Replica
from tests.live.sinks import Told
from tests.live.test_cli import Person
from tests.live.world import NEW, OLD, Manifest, World
from webhook.policy.names import BYPASS_HASH, BYPASS_REASON, BYPASS_UNTIL, LICENSE_PATH
from webhook.policy.reasons import ALLOWING, Reason

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/schemagate"
IN_MODE = {"Reject": "denied", "Hold": "denied", "Warn": "warned", "Audit": "noted"}
OUTCOMES = {"denied": "deny", "held": "warn", "warned": "warn", "noted": "allow", "bypassed": "warn"}
SLOW, BAD = f"{NEW}-slow", f"{NEW}-fail"


def container(**changes: Any) -> Manifest:
    """Give a patch of the Gateway container."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "gateway", **changes}]}}}}


TO_NEW = container(image=NEW)
WITHOUT_LICENSE = container(volumeMounts=[{"mountPath": LICENSE_PATH, "$patch": "delete"}])
ANOTHER_DATABASE = container(
    image=NEW, env=[{"name": "SSG_DATABASE_JDBC_URL", "value": "jdbc:postgresql://db/ssg"}]
)


async def migrated(world: World) -> None:
    """Have the Gateway run its second image, with both migrated."""
    await world.wants(NEW)
    await world.reaches("Complete", image=NEW)
    await until(lambda: world.set_image("ssg", NEW), what="the webhook knows")
    await world.settled()


async def busy(world: World, image: str, phase: str) -> None:
    """Have a migration in a phase."""
    await world.wants(image)
    await world.reaches(phase, image=image, seconds=90)


async def nothing(_: World) -> None:
    """Have nothing more."""


@dataclass(frozen=True)
class Case:
    """A way to be turned away: what is there before, what is asked for, and what is told of it."""

    reason: Reason
    mode: str
    decision: str
    patch: Manifest = field(default_factory=lambda: TO_NEW)
    before: Callable[[World], Any] = nothing
    spec: Mapping[str, str] = field(default_factory=dict)
    unreached: bool = False

    @property
    def series(self) -> sinks.Series:
        """What counts it."""
        webhook = "deployments.mutate" if self.decision == "held" else "deployments.validate"
        return webhook, OUTCOMES[self.decision], self.reason.value

    @property
    def rehearsed(self) -> Reason:
        """The reason that a dry run is given: it may not break glass."""
        return Reason.MIGRATION_PENDING if self.reason is Reason.BYPASSED else self.reason


def in_modes(reason: Reason, modes: Sequence[str], **more: Any) -> list[Case]:
    return [Case(reason, mode, IN_MODE[mode], **more) for mode in modes]


ALL, UNHELD = ("Reject", "Hold", "Warn", "Audit"), ("Reject", "Warn", "Audit")
CASES = [
    *in_modes(Reason.MIGRATION_PENDING, UNHELD),
    Case(Reason.HELD, "Hold", "held"),
    *in_modes(
        Reason.MIGRATION_RUNNING,
        UNHELD,
        patch=container(image=SLOW),
        before=functools.partial(busy, image=SLOW, phase="Running"),
    ),
    *in_modes(
        Reason.MIGRATION_FAILED,
        UNHELD,
        patch=container(image=BAD),
        before=functools.partial(busy, image=BAD, phase="Failed"),
    ),
    *in_modes(Reason.INVALID_INPUTS, ALL, patch=ANOTHER_DATABASE),
    *in_modes(Reason.GATEWAY_CONTAINER_LOST, ALL, patch=WITHOUT_LICENSE),
    *in_modes(
        Reason.ROLLBACK_REFUSED, ALL, patch=container(image=OLD), before=migrated, spec={"rollback": "Deny"}
    ),
    Case(Reason.BYPASSED, "Reject", "bypassed"),
    Case(Reason.HOLD_NOT_APPLIED, "Hold", "denied", unreached=True),
]


def test_every_reason_that_can_deny_is_among_the_cases() -> None:
    blocking = {reason for reason in Reason if reason not in ALLOWING and not reason.effect.startswith("pod")}
    assert blocking <= {case.reason for case in CASES}


@pytest.mark.timeout(400)
async def test_all_sinks_agree(
    admin: Client, installation: Installation, controller: Replica, control_plane: ControlPlane, tmp_path: Path
) -> None:
    webhook = installation.replica("webhook-1")
    async with fleet(admin, control_plane, len(CASES)) as worlds:
        cases = list(zip(worlds, CASES, strict=True))
        await asyncio.gather(*(prepare(world, case) for world, case in cases))
        reached = [(world, case) for world, case in cases if not case.unreached]
        told_before = await asyncio.gather(*(rehearse(world, case, webhook) for world, case in reached))
        counted = sinks.counted(webhook)
        bypasses = sinks.value(webhook, "schemagate_bypasses_total")
        dry = sinks.value(webhook, "schemagate_admission_dry_run_total")
        assert dry >= len(reached)
        since = control_plane.audit_position()
        hashes = [line["hash"] for line in told_before]
        for (world, case), spec_hash in zip(reached, hashes, strict=True):
            await act(world, case, spec_hash)
        rest = [(world, case) for world, case in cases if case.unreached]
        async with unregistered(admin):
            for world, case in rest:
                before = sinks.counted(webhook)
                hashes.append((await rehearse(world, case, webhook))["hash"])
                counted.update(sinks.counted(webhook) - before)  # also what still reached the mutator
                await act(world, case, None)

        expected = {
            world.namespace: Told(
                world.namespace, "ssg", case.reason, case.decision, case.mode, spec_hash or "", USER
            )
            for (world, case), spec_hash in zip([*reached, *rest], hashes, strict=True)
        }
        person = Person(control_plane.admin_kubeconfig, tmp_path)
        found = await collect(worlds, webhook, control_plane, since, person, tmp_path / "report.html")
        wrong = [
            f"{sink}: {told} instead of {expected[namespace]}"
            for namespace, by_sink in found.items()
            for sink, told in by_sink.items()
            if len(told) != 1 or not told[0].agrees(expected[namespace])
        ]
        assert not wrong, "\n".join(wrong)
        assert sum(1 for told in expected.values() if told.hash) == len(CASES) - 4, "one reason alone has no hash"
        more = sinks.counted(webhook)
        delta = {series: more[series] - counted[series] for series in {case.series for case in CASES}}
        assert delta == Counter(case.series for case in CASES)
        assert sinks.value(webhook, "schemagate_bypasses_total") == bypasses + 1


USER = "admin"


async def prepare(world: World, case: Case) -> None:
    """Have a Gateway run that a record guards, and whatever the case needs before."""
    await world.write_record("ssg", podAttempts=1, mode="Reject", **case.spec)
    await world.reaches("Complete", image=OLD, seconds=90)
    await case.before(world)
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": case.mode}})


async def rehearse(world: World, case: Case, webhook: Replica) -> Manifest:
    """Ask by dry run until the webhook's copies are up to date; gives the line that tells of it, on no record."""

    async def told() -> Manifest | None:
        await ask(world, case.patch, dryRun="All")
        wanted = (case.series[0], case.rehearsed.value, case.mode)
        dry = [line for line in sinks.lines(webhook, world.namespace) if line["dryRun"]]
        assert not any(line["remembered"] for line in dry)
        return next((line for line in dry if (line["webhook"], line["reason"], line["mode"]) == wanted), None)

    found = await until(told, what=f"a dry run is told of as {case.rehearsed} in mode {case.mode}")
    assert found is not None
    return found


async def act(world: World, case: Case, spec_hash: str | None) -> None:
    """Ask for it once, for good."""
    patch = dict(case.patch)
    if case.decision == "bypassed":
        when = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
        told = {BYPASS_REASON: "outage 4711", BYPASS_UNTIL: when, BYPASS_HASH: spec_hash}
        patch["metadata"] = {"annotations": told}
    assert await ask(world, patch) == (case.decision != "denied")


async def ask(world: World, patch: Manifest, **query: str) -> bool:
    """Ask for a change, and tell whether it was let through; what is no verdict is an error."""
    try:
        await world.admin.patch(world.path("Deployment", "ssg"), patch, STRATEGIC, **query)
    except ApiError as error:
        if error.status != 403:
            raise
        return False
    return True


@asynccontextmanager
async def unregistered(admin: Client) -> AsyncIterator[None]:
    """Have the API server reach no mutating webhook of Deployments for as long as the block takes."""
    before = (await admin.get(MUTATING))["webhooks"]
    without = [item for item in before if item["name"] != sinks.MUTATOR]
    assert len(without) == len(before) - 1
    await admin.patch(MUTATING, {"webhooks": without})
    try:
        yield
    finally:
        await admin.patch(MUTATING, {"webhooks": before})


async def collect(
    worlds: Sequence[World], webhook: Replica, plane: ControlPlane, since: int, person: Person, page: Path
) -> dict[str, dict[str, list[Told]]]:
    """Read every sink, once what travels has arrived: by namespace and sink."""
    for world in worlds:
        await until(functools.partial(sinks.of_ledger, world), 60, f"the record of {world.namespace}")
        await until(functools.partial(sinks.of_events, world), 60, f"the Event in {world.namespace}")

    async def audited() -> bool:
        events = plane.audit_events(since)
        return all(sinks.of_api_server(events, world.namespace) for world in worlds)

    await until(audited, what="the audit log of the API server")
    listed = await person.runs("schemagate", "audit", "rejections", "-A", "-o", "json")
    log = plane.folder / "audit.log"
    from_log = await person.runs("schemagate", "audit", "rejections", "--from-audit-log", str(log), "-o", "json")
    reported = await person.runs("schemagate", "audit", "report", "-A", "-o", str(page))
    assert (listed.code, from_log.code, reported.code) == (0, 0, 0), (listed, from_log, reported)
    events, written = plane.audit_events(since), sinks.read(page)
    return {
        world.namespace: {
            "decision log": sinks.of_log(webhook, world.namespace),
            "ledger": await sinks.of_ledger(world),
            "Event": await sinks.of_events(world),
            "API server": sinks.of_api_server(events, world.namespace),
            "audit rejections": sinks.of_document(listed.out, world.namespace),
            "audit rejections --from-audit-log": sinks.of_document(from_log.out, world.namespace),
            "audit report": sinks.of_page(written, world.namespace),
        }
        for world in worlds
    }
