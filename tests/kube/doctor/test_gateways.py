"""Which Gateways the doctor finds, who guards them, and who migrates them."""

from pathlib import Path

import pytest

from tests.kube.doctor.site import Site, facts_of, found
from tests.support import builders as make
from tests.support.builders import Manifest
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.facts import Gateways
from webhook.policy.diagnosis.line import Check, Level

LITERAL = [{"name": "SSG_DATABASE_JDBC_URL", "value": make.URL}]
MANY = [{"name": f"V{number}", "value": "1"} for number in range(10_001)]
DEPLOYMENT = make.deployment(make.container(env=LITERAL, envFrom=None))


async def gateways_in(site: Site, folder: Path) -> Gateways:
    held = (await facts_of(site, folder)).gateways
    assert isinstance(held, Gateways)
    return held


async def test_an_unguarded_gateway_is_counted(site: Site, tmp_path: Path) -> None:
    site.keep(DEPLOYMENT)
    held = await gateways_in(site, tmp_path)
    assert held == Gateways(ungoverned=("team-a/ssg",), count=1, namespaces=frozenset({"team-a"}))


async def test_one_whose_record_turns_the_guard_off_is_told_apart(site: Site, tmp_path: Path) -> None:
    site.keep(DEPLOYMENT, make.record(spec={"enabled": False}))
    held = await gateways_in(site, tmp_path)
    assert (held.ungoverned, held.disabled) == ((), ("team-a/ssg",))


@pytest.mark.parametrize(
    ("gateway", "spec", "external", "doubled"),
    [
        (make.gateway(), {}, False, False),
        (make.gateway_with_job(), {}, True, False),
        (make.gateway_with_job({"enabled": False}), {}, False, False),
        (make.gateway(), {"runner": "External"}, True, False),
        (make.gateway_with_job(), {"runner": "Schemagate"}, False, True),
    ],
)
async def test_who_migrates_is_told_by_record_and_gateway_together(
    site: Site, tmp_path: Path, gateway: Manifest, spec: Manifest, external: bool, doubled: bool
) -> None:
    site.keep(DEPLOYMENT, gateway, make.record(managed=True, spec=spec))
    held = await gateways_in(site, tmp_path)
    assert (held.external, held.doubled) == (
        frozenset({"team-a/ssg"} if external else ()),
        ("team-a/ssg",) if doubled else (),
    )


async def test_an_operator_with_a_job_of_its_own_is_in_nobodys_way(site: Site, tmp_path: Path) -> None:
    site.keep(DEPLOYMENT, make.gateway_with_job(), make.record(managed=True))
    job = make.operators_job()
    site.store("/apis/batch/v1/namespaces/team-a/jobs", "ssg-db-migration", spec=job["spec"])
    assert found(await facts_of(site, tmp_path)) == []


@pytest.mark.parametrize(
    "broken",
    [
        make.record(metadata={"name": "odd"}, spec={"mode": "Someday"}),
        make.gateway(metadata={"name": "odd"}, spec={"app": {"image": 5}}),
        make.deployment(make.container(env=MANY), metadata={"name": "odd"}),
    ],
    ids=lambda item: str(item["kind"]),
)
async def test_what_cannot_be_read_is_named(site: Site, tmp_path: Path, broken: Manifest) -> None:
    site.keep(broken)
    facts = await facts_of(site, tmp_path)
    (line,) = [line for line in diagnose(facts) if line.level is not Level.OK]
    assert (line.level, line.check) == (Level.UNKNOWN, Check.COVERAGE)
    assert f"{broken['kind']} team-a/odd cannot be read" in line.message


async def test_gateways_beside_schemagate_are_found(site: Site, tmp_path: Path) -> None:
    site.keep(make.deployment(make.container(env=LITERAL, envFrom=None), metadata={"namespace": site.namespace}))
    assert (Level.FAIL, Check.WEBHOOKS) in found(await facts_of(site, tmp_path))
