"""What a Deployment is headed for."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.support import builders
from tests.support.builders import IMAGE, NEXT_IMAGE, config_maps, container, deployment
from tests.support.observations import governance
from webhook.policy.migration.target import is_held, is_rolling, is_settled, target_of
from webhook.policy.names import GATEWAY_CONTAINER, HELD
from webhook.policy.objects import Deployment, view
from webhook.policy.record import Completion, Mode, RecordStatus


def stored(**tweak: Any) -> Deployment:
    return view(Deployment, deployment(**tweak))


def held(**tweak: Any) -> Deployment:
    return stored(metadata={"annotations": {HELD: "0" * 16}}, spec={"paused": True}, **tweak)


def test_what_runs_is_wanted_unless_something_else_is_announced() -> None:
    target = target_of(stored(), governance(), config_maps())
    assert target
    assert target.desired == target.running
    assert target.running
    assert (target.running.image, target.held, target.settled) == (IMAGE, False, True)


def test_an_announced_image_is_wanted_with_the_rest_as_it_runs() -> None:
    target = target_of(stored(), msgspec.structs.replace(governance(), announced=NEXT_IMAGE), config_maps())
    assert target
    assert target.running
    assert target.running.image == IMAGE
    assert target.desired == replace(target.running, image=NEXT_IMAGE)


@pytest.mark.parametrize(("migrated", "wanted"), [((NEXT_IMAGE, IMAGE), NEXT_IMAGE), ((IMAGE, NEXT_IMAGE), IMAGE)])
def test_an_announcement_is_spent_once_what_runs_was_migrated_after_it(
    migrated: tuple[str, str], wanted: str
) -> None:
    done = tuple(Completion(hash=f"{at:064x}", image=image) for at, image in enumerate(migrated))
    announcing = msgspec.structs.replace(
        governance(), announced=NEXT_IMAGE, status=RecordStatus(completed_hashes=done)
    )
    target = target_of(stored(), announcing, config_maps())
    assert target
    assert target.desired
    assert target.desired.image == wanted


def test_a_held_template_is_wanted_whatever_is_announced() -> None:
    target = target_of(held(), msgspec.structs.replace(governance(), announced=NEXT_IMAGE), config_maps())
    assert target
    assert target.desired
    assert (target.desired.image, target.held, target.settled) == (IMAGE, True, False)


def test_settings_of_the_record_are_inputs() -> None:
    target = target_of(stored(), governance(clear_locks=True, active_deadline_seconds=60), config_maps())
    assert target
    assert target.desired
    assert (target.desired.clear_locks, target.desired.active_deadline_seconds) == (True, 60)


def test_no_gateway_container() -> None:
    assert target_of(stored(gateway=container(volumeMounts=[])), governance(), config_maps()) is None


def test_the_gateway_container_that_an_annotation_names() -> None:
    sidecar = container(name="other", image=NEXT_IMAGE, volumeMounts=[])
    spec = builders.pod_spec(containers=[container(), sidecar])
    named = stored(metadata={"annotations": {GATEWAY_CONTAINER: "other"}}, spec={"template": {"spec": spec}})
    target = target_of(named, governance(), config_maps())
    assert target
    assert target.running
    assert target.running.image == NEXT_IMAGE


def test_no_database() -> None:
    maps = config_maps(builders.config_map(data={"DISKLESS_CONFIG": "true"}))
    target = target_of(stored(), governance(), maps)
    assert target
    assert (target.desired, target.running) == (None, None)


def test_a_missing_config_map_is_a_problem_not_an_absent_database() -> None:
    target = target_of(stored(), governance(), {})
    assert target
    assert target.desired
    assert target.desired.problem


@pytest.mark.parametrize(
    ("case", "found", "expected"),
    [
        ("paused by us", held(), True),
        ("paused by a person", stored(spec={"paused": True}), False),
        ("resumed by a person", stored(metadata={"annotations": {HELD: "0" * 16}}), False),
        ("neither", stored(), False),
    ],
)
def test_held(case: str, found: Deployment, expected: bool) -> None:
    assert is_held(found) is expected


@pytest.mark.parametrize(
    ("case", "tweak", "expected"),
    [
        ("all replicas run the template", {}, True),
        ("paused", {"spec": {"paused": True}}, False),
        ("not seen yet by the Deployment controller", {"metadata": {"generation": 2}}, False),
        ("old pods left", {"status": {"replicas": 3}}, False),
        ("new pods not there yet", {"status": {"updatedReplicas": 1}}, False),
        ("new pods not available", {"status": {"availableReplicas": 1}}, False),
        ("scaled to nothing", {"status": {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}}, False),
        ("no status yet", {"status": None}, False),
    ],
)
def test_settled(case: str, tweak: dict[str, Any], expected: bool) -> None:
    assert is_settled(stored(**tweak)) is expected


COMING = {"status": {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 0, "conditions": None}}


def progressing(status: str, reason: str) -> dict[str, Any]:
    condition = {"type": "Progressing", "status": status, "reason": reason}
    return {"status": {**COMING["status"], "conditions": [condition]}}


@pytest.mark.parametrize(
    ("case", "tweak", "expected"),
    [
        ("just created", {"status": None}, True),
        ("pods are coming", progressing("True", "ReplicaSetUpdated"), True),
        ("pods are overdue", progressing("False", "ProgressDeadlineExceeded"), False),
        ("pods were there before", progressing("True", "NewReplicaSetAvailable"), False),
        ("changed since", {**COMING, "metadata": {"generation": 2}}, True),
        ("changed since pods were overdue", {**progressing("False", "x"), "metadata": {"generation": 2}}, True),
        ("paused", {**COMING, "spec": {"paused": True}}, False),
        ("scaled to nothing", {**COMING, "spec": {"replicas": 0}}, False),
        ("all there", {}, False),
    ],
)
def test_rolling(case: str, tweak: dict[str, Any], expected: bool) -> None:
    assert is_rolling(stored(**tweak)) is expected


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
def test_what_is_held_is_released_by_a_mode_that_stops_nothing(mode: Mode) -> None:
    asked = msgspec.structs.replace(governance(), mode=mode)
    target = target_of(held(**COMING), asked, config_maps())
    assert target
    assert (target.held, target.released, target.rolling) == (True, True, True)
    for other in (Mode.REJECT, Mode.HOLD):
        stays = target_of(held(), msgspec.structs.replace(governance(), mode=other), config_maps())
        assert stays
        assert (stays.held, stays.released, stays.rolling) == (True, False, False)


def test_what_a_person_paused_no_mode_releases() -> None:
    asked = msgspec.structs.replace(governance(), mode=Mode.WARN)
    target = target_of(stored(spec={"paused": True}), asked, config_maps())
    assert target
    assert (target.released, target.rolling) == (False, False)


def test_a_gateway_that_moves_on_wins_over_what_a_record_announced_before() -> None:
    asked = msgspec.structs.replace(governance(), announced="gateway:11.2.9", gateway_image=NEXT_IMAGE)
    target = target_of(stored(), asked, config_maps())
    assert target is not None
    assert target.desired is not None
    assert target.desired.image == NEXT_IMAGE


def test_a_record_announces_ahead_of_a_gateway_that_stands_still() -> None:
    asked = msgspec.structs.replace(governance(), announced=NEXT_IMAGE, gateway_image=IMAGE)
    target = target_of(stored(), asked, config_maps())
    assert target is not None
    assert target.desired is not None
    assert target.desired.image == NEXT_IMAGE
