"""Without schemagate: five pods of a new version at once, and one that is killed while it migrates."""

import pytest

from tests.controlplane.client import until
from tests.gateway.standin import OLD, POLLS, SLOW
from tests.live.world import Manifest
from tests.node.migrations.fleet import FIVE, PATIENCE, Fleet
from webhook.policy.names import EXTRA_JAVA_ARGS, LIQUIBASE_LOG_LEVEL, LOCK_WAIT_MINUTES

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("alone")]
WAITS = "Waiting for changelog lock"


async def test_a_pod_killed_while_it_migrates_leaves_the_lock_and_no_other_starts(fleet: Fleet) -> None:
    await fleet.stock(OLD)
    await fleet.deploy(OLD, settings={LOCK_WAIT_MINUTES: "1", LIQUIBASE_LOG_LEVEL: "info", EXTRA_JAVA_ARGS: POLLS})
    with fleet.schema.shut_gate():
        await fleet.starts(SLOW)
        (migrating,) = await fleet.says(SLOW, f"Running Changeset: ssg-{SLOW}.xml::1", 1)
        waiting = await fleet.says(SLOW, WAITS, FIVE - 1)
        assert migrating not in waiting
        held = fleet.schema.lock()
        assert held[0] == "1"
        assert held[1].startswith(f"{migrating} (")

        # As a node's end or an impatient `kubectl delete pod --force` does.
        await fleet.world.admin.delete(fleet.world.path("Pod", migrating), gracePeriodSeconds="0")
        left = await fleet.says(SLOW, WAITS, FIVE)
        assert migrating not in left

    # Each of them gives up, is started again and waits again.
    async def all_gave_up() -> bool:
        return all(_restarts(pod) for pod in await fleet.of(SLOW))

    await until(all_gave_up, PATIENCE, "every pod has given up once")
    for pod in left:
        told = await fleet.log(pod, previous="true")
        assert f"Could not acquire change log lock.  Currently locked by {migrating} (" in told
    assert not any(_ready(pod) for pod in await fleet.of(SLOW))
    assert (fleet.schema.lock(), fleet.schema.version()) == (held, OLD)


def _restarts(pod: Manifest) -> int:
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))


def _ready(pod: Manifest) -> bool:
    return any(each["ready"] for each in pod["status"].get("containerStatuses", ()))
