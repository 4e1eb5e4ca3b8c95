"""How a governed Gateway may leave the gate: by no series of ordinary writes, each of which changes one thing."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.admission.test_handlers import VALIDATE, LaggingCluster, ask, complete, lagging
from tests.admission.test_review import review
from tests.support.builders import IMAGE, NEXT_IMAGE, container, deployment
from webhook.policy.names import GATEWAY_CONTAINER, LICENSE_PATH

Manifest = dict[str, Any]
FOLDER = [{"name": "gateway-license", "mountPath": LICENSE_PATH.rpartition("/")[0]}]
"""The license as a Gateway finds it too, and as no rule knows it."""
REAL, MOVED = container(), container(volumeMounts=FOLDER)
UPGRADED = container(image=NEXT_IMAGE, volumeMounts=FOLDER)
RENAMED = container(name="renamed", image=NEXT_IMAGE, volumeMounts=FOLDER)
SIDECAR: Manifest = {"name": "side", "image": "tools:1"}
DECOY: Manifest = {**SIDECAR, "name": "decoy", "volumeMounts": REAL["volumeMounts"]}
RESTARTING: Manifest = {**UPGRADED, "restartPolicy": "Always"}


def state(*containers: Manifest, named: str = "", init: Manifest | None = None, paused: bool = False) -> Manifest:
    """A Deployment of these containers, whose annotation names one of them."""
    manifest = deployment(metadata={"annotations": {GATEWAY_CONTAINER: named} if named else {}})
    pod = manifest["spec"]["template"]["spec"]
    pod["containers"] = list(containers)
    if init is not None:
        pod["initContainers"] = [init]
    manifest["spec"]["paused"] = paused
    return manifest


LEAVING: dict[str, list[Manifest]] = {
    "annotated, its license moved, the annotation taken off": [
        state(REAL),
        state(REAL, named="gateway"),
        state(MOVED, named="gateway"),
        state(MOVED),
        state(UPGRADED),
    ],
    "the annotation pointed at a sidecar": [
        state(MOVED, SIDECAR, named="gateway"),
        state(MOVED, SIDECAR, named="side"),
        state(UPGRADED, SIDECAR, named="side"),
    ],
    "the annotation emptied": [state(MOVED, named="gateway"), state(MOVED, named=" "), state(UPGRADED, named=" ")],
    "the license left to a decoy": [
        state(REAL),
        state(DECOY, REAL),
        state(DECOY, MOVED),
        state(DECOY, UPGRADED),
    ],
    "the license left to a decoy with the database, that comes first": [
        state({**REAL, "name": "decoy"}, REAL),
        state({**REAL, "name": "decoy"}, MOVED),
        state({**REAL, "name": "decoy"}, UPGRADED),
    ],
    "renamed beside a decoy": [state(DECOY, REAL), state(DECOY, RENAMED)],
    "renamed together with the annotation": [
        state(MOVED, SIDECAR, named="gateway"),
        state(RENAMED, SIDECAR, named="side"),
    ],
    "gone on as an init container": [state(DECOY, REAL), state(DECOY, init=RESTARTING)],
    "gone on as an init container beside one with the database": [
        state({**REAL, "name": "other"}, REAL),
        state({**REAL, "name": "other"}, init=RESTARTING),
    ],
    "hidden where the first of two has no database": [state(DECOY, REAL), state({**DECOY, **SIDECAR}, UPGRADED)],
    "hidden while it is paused": [
        state(MOVED, named="gateway", paused=True),
        state(MOVED, paused=True),
        state(UPGRADED, paused=True),
        state(UPGRADED),
    ],
    "the license by another subpath": [
        state(REAL),
        state(container(volumeMounts=[{**REAL["volumeMounts"][0], "subPath": "a"}])),
        state(container(image=NEXT_IMAGE, volumeMounts=[{**REAL["volumeMounts"][0], "subPathExpr": "$(A)"}])),
    ],
}


async def guarded() -> LaggingCluster:
    """A cluster in which the first image is migrated, and no other."""
    cluster = lagging()
    cluster.cached = await complete(cluster, IMAGE)
    return cluster


async def admitted(cluster: LaggingCluster, old: Manifest, new: Manifest) -> str:
    """Say why an update is turned away, empty when it is not."""
    manifest = review()
    manifest["request"] |= {"object": new, "oldObject": old}
    response = await ask(cluster, VALIDATE, manifest)
    if response["allowed"]:
        return ""
    said: str = response["status"]["message"]
    return said


@pytest.mark.parametrize("steps", LEAVING.values(), ids=LEAVING.keys())
async def test_no_series_of_writes_leads_past_the_gate(steps: list[Manifest]) -> None:
    cluster = await guarded()
    said = [await admitted(cluster, old, new) for old, new in pairwise(steps)]
    assert any(said)


STAYING: dict[str, tuple[Manifest, Manifest]] = {
    "an annotation that only says what is known": (state(REAL, named="gateway"), state(REAL)),
    "an annotation that named the wrong one": (state(REAL, SIDECAR, named="side"), state(REAL, SIDECAR)),
    "renamed, with its license": (state(REAL), state(container(name="ssg"))),
    "renamed beside a sidecar that comes": (state(REAL), state(SIDECAR, container(name="ssg"))),
    "a sidecar that needs the license no more": (state(REAL, DECOY), state(REAL, {**DECOY, "volumeMounts": []})),
    "a second one that is given up": (state(REAL, {**REAL, "name": "second"}), state(REAL)),
    "one without a database, given up": (
        state(container(envFrom=[])),
        state(container(envFrom=[], volumeMounts=[])),
    ),
    "one without a database, known by its annotation alone": (
        state(container(envFrom=[], volumeMounts=[]), named="gateway"),
        state(container(envFrom=[], volumeMounts=[])),
    ),
}


@pytest.mark.parametrize(("old", "new"), STAYING.values(), ids=STAYING.keys())
async def test_what_leaves_nothing_unguarded_passes(old: Manifest, new: Manifest) -> None:
    assert await admitted(await guarded(), old, new) == ""


async def test_the_denial_names_the_container_and_how_to_end_the_guard() -> None:
    assert await admitted(await guarded(), state(MOVED, named="gateway"), state(MOVED)) == (
        "rollout of deployment team-a/ssg is blocked: it takes the Gateway container out of a governed "
        "Deployment; keep container gateway with its license or annotation, or end the guard first: "
        """kubectl patch gwm ssg -n team-a --type merge -p '{"spec":{"enabled":false}}'"""
    )


@st.composite
def walks(draw: st.DrawFn) -> list[Manifest]:
    """A Gateway beside what has no database, and writes that change one thing after the other."""
    now: dict[str, Any] = {"name": "gateway", "image": IMAGE, "license": True, "as": "container"}
    found = [now]
    changes = st.sampled_from(
        [
            ("name", "renamed"),
            ("license", False),
            ("license", True),
            ("named", "gateway"),
            ("named", "side"),
            ("named", "decoy"),
            ("named", ""),
            ("decoy", True),
            ("decoy", False),
            ("as", "init"),
            ("paused", True),
            ("paused", False),
            ("image", NEXT_IMAGE),
        ]
    )
    for field, value in draw(st.lists(changes, min_size=1, max_size=7)):
        now = {**now, field: value}
        found.append(now)
    return [
        state(
            *([DECOY] if item.get("decoy") else []),
            *([real(item)] if item["as"] == "container" else []),
            SIDECAR,
            named=item.get("named", ""),
            init=real(item) if item["as"] == "init" else None,
            paused=item.get("paused", False),
        )
        for item in found
    ]


def real(item: dict[str, Any]) -> Manifest:
    mounts = REAL["volumeMounts"] if item["license"] else FOLDER
    return container(name=item["name"], image=item["image"], volumeMounts=mounts)


@given(walks())
def test_whatever_is_changed_one_after_the_other_the_new_image_runs_nowhere(steps: list[Manifest]) -> None:
    async def walk() -> None:
        cluster = await guarded()
        stored = steps[0]
        for wanted in steps[1:]:
            if await admitted(cluster, stored, wanted) == "":
                stored = wanted
            pod = stored["spec"]["template"]["spec"]
            images = {item["image"] for item in (*pod["containers"], *pod.get("initContainers", ()))}
            assert NEXT_IMAGE not in images or stored["spec"]["paused"]

    asyncio.run(walk())


SECRET = {"secretRef": {"name": "ssg"}}
OUT_OF_SIGHT = container(image=NEXT_IMAGE, env=[], envFrom=[SECRET])


async def test_a_url_that_comes_back_in_a_secret_while_it_is_paused_does_not_open_the_gate() -> None:
    cluster = await guarded()
    dropped = container(envFrom=[])
    steps = [
        state(REAL, paused=True),
        state(dropped, paused=True),
        state(OUT_OF_SIGHT, paused=True),
        state(OUT_OF_SIGHT),
    ]
    said = [await admitted(cluster, old, new) for old, new in pairwise(steps)]
    assert said[:2] == ["", ""]
    assert "a Secret may hold it" in said[2]


async def test_a_gateway_whose_url_was_always_out_of_sight_has_no_database() -> None:
    hidden = container(envFrom=[SECRET])
    assert await admitted(lagging(), state(hidden), state(OUT_OF_SIGHT)) == ""


async def test_what_runs_with_its_url_out_of_sight_may_restart_and_drop_it() -> None:
    """It got there by Warn, say: what is known of it changes no more."""
    hidden = container(envFrom=[SECRET])
    restarted = {**hidden, "resources": {"limits": {"cpu": "1"}}}
    empty = {**OUT_OF_SIGHT, "env": [{"name": "SSG_DATABASE_JDBC_URL", "value": ""}]}
    cluster = await guarded()
    assert await admitted(cluster, state(hidden), state(restarted)) == ""
    assert "or set it to an empty text" in await admitted(cluster, state(hidden), state(OUT_OF_SIGHT))
    assert await admitted(cluster, state(hidden), state(empty)) == ""


async def test_an_embedded_database_is_no_secret() -> None:
    """Once it is known that the URL is another's, no Secret beside it is asked for."""
    local = [{"name": "SSG_DATABASE_JDBC_URL", "value": "jdbc:h2:mem:ssg"}]
    old, new = (container(image=image, env=local, envFrom=[SECRET]) for image in (IMAGE, NEXT_IMAGE))
    assert await admitted(await guarded(), state(old), state(new)) == ""
