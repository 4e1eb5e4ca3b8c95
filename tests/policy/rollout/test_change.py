"""What a request does to a Deployment."""

from typing import Any

import pytest

from tests.support.builders import NEXT_IMAGE, container, deployment
from webhook.policy.objects import Deployment, view
from webhook.policy.rollout.change import Change

OLD = deployment()
PAUSED = deployment(spec={"paused": True})
NEXT = deployment(container(image=NEXT_IMAGE, envFrom=[{"configMapRef": {"name": "next"}}]))


def change(new: dict[str, Any], old: dict[str, Any] | None) -> Change:
    return Change.between("team-a", view(Deployment, new), view(Deployment, old) if old else None)


STARTS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, bool, set[str]]] = {
    "created": (OLD, None, True, {"ssg"}),
    "as it was": (OLD, OLD, False, set()),
    "another template": (NEXT, OLD, True, {"next", "ssg"}),
    "paused": (PAUSED, OLD, False, set()),
    "resumed": (OLD, PAUSED, True, {"ssg"}),
    "paused all along": (PAUSED, PAUSED, False, set()),
}


@pytest.mark.parametrize(("new", "old", "starts", "maps"), STARTS.values(), ids=STARTS.keys())
def test_config_maps_are_read_only_where_pods_may_start(
    new: dict[str, Any], old: dict[str, Any] | None, starts: bool, maps: set[str]
) -> None:
    found = change(new, old)
    assert (found.starts_pods, set(found.config_maps)) == (starts, maps)
    assert (found.namespace, found.name, len(found.metas)) == ("team-a", "ssg", 2 if old else 1)


SIDE: dict[str, Any] = {"name": "side", "image": "tools:1"}
BARE, TWIN = container(volumeMounts=[]), container(name="twin")


def of(*containers: dict[str, Any], named: str = "", **pod: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": list(containers), **pod}}}
    return deployment(spec=spec, metadata={"annotations": {"schemagate.io/gateway-container": named}})


# Old, new, whether the Gateway is lost, the further containers looked at, those that are gone.
LOSSES: dict[str, tuple[dict[str, Any], dict[str, Any], bool, list[str], list[str]]] = {
    "nothing changes": (of(container(), TWIN), of(container(), TWIN), False, [], []),
    "its annotation goes": (of(BARE, named="gateway"), of(BARE), True, [], []),
    "its annotation turns": (of(BARE, SIDE, named="gateway"), of(BARE, SIDE, named="side"), True, ["gateway"], []),
    "it keeps its license": (of(container(), named="gateway"), of(container()), False, [], []),
    "its license goes to another": (of(container()), of(BARE, TWIN), True, ["gateway"], []),
    "it becomes an init container": (
        of(container()),
        of(TWIN, initContainers=[{"name": "gateway"}]),
        True,
        ["gateway"],
        [],
    ),
    "it is renamed": (of(container()), of(TWIN), False, [], ["gateway"]),
    "the second of two loses its license": (
        of(TWIN, container()),
        of(TWIN, BARE),
        False,
        ["gateway"],
        [],
    ),
    "the second of two goes": (of(container(), TWIN), of(container()), False, [], ["twin"]),
    "both go": (of(container(), TWIN), of(SIDE), True, [], ["gateway", "twin"]),
}


@pytest.mark.parametrize(("old", "new", "lost", "others", "gone"), LOSSES.values(), ids=LOSSES.keys())
def test_what_becomes_of_each_container_that_may_be_the_gateway(
    old: dict[str, Any], new: dict[str, Any], lost: bool, others: list[str], gone: list[str]
) -> None:
    found = change(new, old)
    assert found.loses_gateway is lost
    assert found.needs_inputs == (lost or new["spec"]["template"] != old["spec"]["template"])
    assert [each.old.gateway.name for each in found.others() if each.old and each.old.gateway] == others
    assert [each.old.gateway.name for each in found.gone() if each.old and each.old.gateway] == gone
    assert all(each.loses_gateway for each in (*found.others(), *found.gone()))
    assert not any(each.main for each in (*found.others(), *found.gone()))


def test_what_is_held_is_released_as_it_was_stored() -> None:
    release = change(of(TWIN, container()), of(TWIN)).release()
    assert (release.resumes, release.template_unchanged, release.loses_gateway) == (True, True, False)
    assert [each.new.gateway.name for each in release.others() if each.new.gateway] == ["gateway"]


def test_each_side_is_looked_at_under_its_own_annotation() -> None:
    two = [container(), container(name="other", image=NEXT_IMAGE)]
    template = {"template": {"spec": {"containers": two}}}
    named = {"annotations": {"schemagate.io/gateway-container": "other"}}
    found = change(deployment(spec=template, metadata=named), deployment(spec=template))
    assert found.template_unchanged
    assert found.new.gateway is not None
    assert found.old is not None
    assert found.old.gateway is not None
    assert (found.new.gateway.name, found.old.gateway.name) == ("other", "gateway")
