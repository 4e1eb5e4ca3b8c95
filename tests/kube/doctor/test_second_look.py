"""The Lease is read a second time where one reading does not tell."""

from pathlib import Path

import pytest

from tests.kube.doctor.site import LEASES, Site, facts_of, found
from tests.support.builders import Manifest
from tests.support.diagnoses import lease
from webhook.policy.diagnosis.line import Check, Level

OLD, LATER, FREE = lease(age=90), lease(age=83), lease(holder="")


async def test_a_lease_that_is_renewed_is_read_once(site: Site, tmp_path: Path) -> None:
    facts = await facts_of(site, tmp_path)
    assert site.waits == []
    assert not facts.lease_moved


async def test_a_second_look_waits_for_longer_than_a_renewal_takes(site: Site, tmp_path: Path) -> None:
    site.leases = [OLD, OLD]
    await facts_of(site, tmp_path)
    assert site.waits == [7.0]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([OLD, OLD], [(Level.FAIL, Check.LEADER)]),
        ([OLD, LATER], [(Level.WARN, Check.CLOCKS)]),
        ([FREE, lease(age=1)], []),
        ([FREE, FREE], [(Level.FAIL, Check.LEADER)]),
        ([lease(age=20), lease(age=13)], []),
        ([OLD, lease("controller-1", age=2)], []),
    ],
    ids=["left behind", "clock behind", "taken", "free", "a little behind", "another leader"],
)
async def test_what_two_readings_tell(
    site: Site, tmp_path: Path, readings: list[Manifest], expected: list[tuple[Level, Check]]
) -> None:
    site.leases = readings
    assert found(await facts_of(site, tmp_path)) == expected
    assert site.leases == []


async def test_the_first_leader_may_be_about_to_begin(site: Site, tmp_path: Path) -> None:
    del site.objects[f"{LEASES}/schemagate-controller"]
    facts = await facts_of(site, tmp_path)
    assert site.waits == [7.0]
    assert found(facts) == [(Level.FAIL, Check.LEADER)]
