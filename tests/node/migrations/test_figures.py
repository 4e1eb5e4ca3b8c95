"""What five pods of a new version do and take, without schemagate and with it: one run on one machine.

The test prints the table of `docs/measured.md`. It asserts what they do with the lock, and no time.
"""

import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.gateway.image import NAMES
from tests.gateway.standin import NEW, OLD, SLOW
from tests.node.installed import Overlay
from tests.node.migrations.fleet import FIVE, NAME, PATIENCE, Fleet
from tests.node.migrations.lock_log import LockUse, lock_log
from webhook.policy.names import EXTRA_JAVA_ARGS

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("alone")]
PAGE = Path(__file__).parents[3] / "docs" / "measured.md"
CHANGESET = 45
"""Seconds that the version's longest changeset takes: enough for another pod to find the lock held."""


async def test_five_pods_fight_for_the_lock_without_and_leave_it_to_one_job_with(
    fleet: Fleet, product: Overlay, capsys: pytest.CaptureFixture[str]
) -> None:
    world, schema = fleet.world, fleet.schema
    await fleet.stock(OLD)
    await fleet.deploy(OLD, settings={EXTRA_JAVA_ARGS: f"-Dslow.seconds={CHANGESET}"})
    # Nobody opens it: whoever runs that changeset waits for its whole time.
    with lock_log(schema) as log, schema.shut_gate():
        await world.set_image(NAME, NAMES[SLOW])
        await world.settled(NAME, PATIENCE)
        alone, alone_seconds = log.used(), await start_up(fleet)
        assert schema.version() == NEW
        assert 1 < alone.taken <= FIVE

        # Back to where it began.
        schema.drop()
        await fleet.stock(OLD)
        await world.set_image(NAME, NAMES[OLD])
        await world.settled(NAME, PATIENCE)
        await product.there()
        await world.write_record(NAME)
        await world.reaches("Complete", NAME, NAMES[OLD], PATIENCE)
        log.empty()
        done = await fleet.migrates(SLOW)
        assert done.code == 0, done
        by_job = log.used()
        assert by_job.taken == 1
        job = await world.get("Job", (await world.record(NAME))["status"]["job"]["name"])
        log.empty()
        await fleet.rolls_out(SLOW)
        by_pods = log.used()
        assert by_pods == LockUse(taken=0, statements=0)
    took = seconds(job["status"]["startTime"], job["status"]["completionTime"])
    rows = [
        ("", "without", "with"),
        ("the migration's Job, before the rollout", "", f"{took:.0f} s"),
        ("five pods, until the last is ready", f"{alone_seconds:.0f} s", f"{await start_up(fleet):.0f} s"),
        ("the lock was taken", f"{alone.taken} times", "once, by the Job"),
        ("statements about the lock, by the Job", "", str(by_job.statements)),
        ("statements about the lock, by pods", str(alone.statements), str(by_pods.statements)),
    ]
    with capsys.disabled():
        sys.stdout.writelines(["\n", *(f"| {' | '.join(row)} |\n" for row in rows)])
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    told = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if "---" not in line]
    assert [cells[0] for cells in told] == [cells[0] for cells in rows]
    # What is asserted above is so in every run.
    assert [cells[2] for cells in (told[3], told[5])] == [cells[2] for cells in (rows[3], rows[5])]


async def start_up(fleet: Fleet) -> float:
    """Give the seconds from the creation of the first pod until the last was ready, by what the cluster says."""
    pods = await fleet.of(SLOW)
    assert len(pods) == FIVE
    ready = [
        each["lastTransitionTime"]
        for pod in pods
        for each in pod["status"]["conditions"]
        if each["type"] == "Ready"
    ]
    return seconds(min(pod["metadata"]["creationTimestamp"] for pod in pods), max(ready))


def seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
