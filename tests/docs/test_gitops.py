"""What `docs/gitops.md` says of a record's health is what Argo CD, Flux and kstatus say, by their libraries."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live.health import FLUX, KEY, RECIPES, argocd, flux, kstatus, lua
from tests.support.builders import NOW
from tests.support.observations import A
from webhook.policy.migration.conditions import Remarks, with_conditions
from webhook.policy.names import RECORD_KIND
from webhook.policy.record import Failure, FailureClass, Phase, Record, RecordStatus

PAGE = RECIPES.with_suffix(".md").read_text(encoding="utf-8")
ROWS = re.findall(r"(?m)^\| (new, .+|`\w+`) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE)
TOLD = {record.strip("`"): healths for record, *healths in ROWS}
UNSEEN = "new, or changed and not seen yet"
SURE, DOUBT = Remarks(), Remarks(doubt=("ForeignJob", "Job x is not ours"))


def record(phase: Phase, remarks: Remarks = SURE, *, generation: int = 3) -> dict[str, Any]:
    """Give a record as the controller stores it, three generations old and seen at that."""
    failed = Failure(classification=FailureClass.LOCK_HELD, message="held by x")
    status = RecordStatus(
        observed_generation=3,
        phase=phase,
        spec_hash=A.spec_hash,
        image=A.image,
        complete=phase is Phase.COMPLETE,
        failure=failed if phase is Phase.FAILED else None,
    )
    status = with_conditions(status, RecordStatus(), NOW, remarks)
    return Record(namespace="team-a", name="ssg", uid="u", generation=generation, status=status).to_manifest()


def unseen() -> list[dict[str, Any]]:
    """Give records that nobody has looked at: new, as an API server gives it, and changed since in each phase."""
    new = record(Phase.COMPLETE, generation=1) | {"status": {"observedGeneration": -1, "complete": False}}
    return [new, *(record(phase, generation=4) for phase in Phase)]


def test_the_page_tells_every_phase() -> None:
    assert set(TOLD) == {UNSEEN, *Phase}


@pytest.mark.parametrize("phase", Phase)
def test_the_health_of_a_phase(phase: Phase, tmp_path: Path) -> None:
    # A doubt makes a record Degraded, and changes nothing about what may roll out.
    records = [record(phase), record(phase, DOUBT)]
    judged = argocd(records, tmp_path), flux(records), kstatus(records)
    assert [{verdict["status"] for verdict in verdicts} for verdicts in judged] == [{told} for told in TOLD[phase]]


def test_the_health_of_what_nobody_has_looked_at(tmp_path: Path) -> None:
    judged = argocd(unseen(), tmp_path), flux(unseen()), kstatus(unseen())
    assert [{verdict["status"] for verdict in verdicts} for verdicts in judged] == [
        {told} for told in TOLD[UNSEEN]
    ]


def test_argo_cd_says_why(tmp_path: Path) -> None:
    running, failed = argocd([record(Phase.RUNNING), record(Phase.FAILED)], tmp_path)
    assert "is Running" in running["message"]
    assert failed["message"] == "held by x"


def test_argo_cd_takes_a_record_without_status_and_a_phase_of_a_later_version(tmp_path: Path) -> None:
    bare, later = record(Phase.COMPLETE), record(Phase.COMPLETE)
    del bare["status"]
    later["status"] = {"observedGeneration": 3, "phase": "Napping"}
    assert [health["status"] for health in argocd([bare, later], tmp_path)] == ["Progressing", "Unknown"]


def test_argo_cd_gives_a_script_few_libraries_and_no_time(tmp_path: Path) -> None:
    for script, said in (
        ("return {status = string.upper('healthy')}", "attempt to index a non-table object"),
        ("while true do end", "deadline exceeded"),
        ("return 'Healthy'", "not a table"),
    ):
        with pytest.raises(RuntimeError, match=said):
            argocd([record(Phase.COMPLETE)], tmp_path, script)
    (health,) = argocd([record(Phase.COMPLETE)], tmp_path, "return {status = 'Fine'}")
    assert health["status"] == "Unknown"
    assert lua().startswith("-- Health of a GatewayMigration")


def test_the_key_of_argo_cd_names_our_kind() -> None:
    assert KEY.endswith(f".{record(Phase.COMPLETE)['apiVersion'].partition('/')[0]}_{RECORD_KIND}")
    assert KEY in (RECIPES / "argocd-cm.yaml").read_text(encoding="utf-8")


def test_the_kustomizations_of_flux_hang_together() -> None:
    first, second = yaml.safe_load_all(FLUX.read_text(encoding="utf-8"))
    (check,) = first["spec"]["healthCheckExprs"]
    stored = record(Phase.COMPLETE)
    assert (check["apiVersion"], check["kind"]) == (stored["apiVersion"], stored["kind"])
    assert second["spec"]["dependsOn"] == [{"name": first["metadata"]["name"]}]
    assert first["spec"]["wait"]
    assert second["spec"]["wait"]


def test_the_record_for_git_is_one() -> None:
    manifest = yaml.safe_load((RECIPES / "gatewaymigration.yaml").read_text(encoding="utf-8"))
    assert Record.from_manifest(manifest, strict=True).spec.image.startswith("docker.io/caapim/gateway:")
    assert int(manifest["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) < 0


def test_every_recipe_is_linked() -> None:
    assert set(re.findall(r"\]\(gitops/([\w.-]+)\)", PAGE)) == {path.name for path in RECIPES.iterdir()}
