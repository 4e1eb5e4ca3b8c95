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
