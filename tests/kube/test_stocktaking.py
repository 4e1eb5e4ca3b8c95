"""What the scan looks at, read from an API server by somebody who may not read everything."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.audit.stocks import healthy, stock
from tests.kube.fake_api import FakeApi, Step, answer, client_of, listed, serving, status
from tests.support import builders as make
from tests.support.builders import NOW, Manifest
from webhook.audit.scan.finding import Rule
from webhook.audit.scan.scan import scan
from webhook.errors import ForbiddenError, UnreachableError
from webhook.kube.api.client import Client
from webhook.kube.stocktaking import take_stock

PLURALS = {
    "deployments": "Deployment",
    "gatewaymigrations": "GatewayMigration",
    "gateways": "Gateway",
    "namespaces": "Namespace",
    "pods": "Pod",
    "configmaps": "ConfigMap",
}


def api_of(objects: Collection[Manifest], forbidden: Collection[str] = (), unknown: Collection[str] = ()) -> Step:
    """Answer as an API server that stores these objects, in pages of one, and serves all kinds but the unknown."""

    async def step(request: web.BaseRequest) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = rest[1] if rest[0] == "namespaces" and len(rest) > 2 else ""
        plural, *name = rest[2:] if namespace else rest
        if plural in unknown:
            return await status(404, "NotFound")(request)
        if plural in forbidden or f"{namespace}/{plural}" in forbidden:
            return await status(403, "Forbidden", f"may not list {plural}")(request)
        found = [item for item in objects if item["kind"] == PLURALS[plural]]
        found = [item for item in found if namespace in {"", item["metadata"].get("namespace")}]
        if name:
            named = [item for item in found if item["metadata"]["name"] == name[0]]
            return await (answer(named[0]) if named else status(404, "NotFound"))(request)
        at = int(request.query.get("continue", "0"))
        token = str(at + 1) if at + 1 < len(found) else ""
        return await listed(*found[at : at + 1], token=token)(request)

    return step


@asynccontextmanager
async def cluster(folder: Path, *objects: Manifest, **limits: Any) -> AsyncGenerator[tuple[Client, FakeApi]]:
    async with serving([api_of(objects, **limits)]) as api, client_of(api, folder) as client:
        yield client, api


def elsewhere(*objects: Manifest) -> list[Manifest]:
    moved = [make.merged(item, {"metadata": {"namespace": "team-b"}}) for item in objects]
    return [item if item["kind"] != "Namespace" else make.namespace("team-b") for item in moved]


OTHERS: list[Manifest] = [
    make.deployment({"name": "web", "image": "nginx"}, metadata={"name": "web"}),
    {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "team-a"}, "spec": {"containers": []}},
    make.config_map("secrets-of-others"),
]


async def test_a_live_scan_is_the_one_of_the_same_objects_in_files(tmp_path: Path) -> None:
    objects = [*healthy(), *elsewhere(*healthy()), make.gateway(), *OTHERS]
    async with cluster(tmp_path, *objects) as (client, api):
        taken = await take_stock(client)
    assert scan(taken, NOW) == scan(stock(*objects), NOW)
    assert (len(taken.deployments), len(taken.pods), len(taken.records), len(taken.config_maps)) == (2, 2, 2, 2)
    assert not any("secrets-of-others" in one.path for one in api.asked)


async def test_of_one_namespace_nothing_else_is_asked_for(tmp_path: Path) -> None:
    async with cluster(tmp_path, *healthy(), *elsewhere(*healthy())) as (client, api):
        taken = await take_stock(client, "team-a")
    assert [item.namespace for item in scan(taken, NOW).coverage] == ["team-a"]
    assert all("/namespaces/team-a" in one.path for one in api.asked)


async def test_what_is_not_served_holds_nothing(tmp_path: Path) -> None:
    objects = [make.namespace(), make.config_map(), make.deployment()]
    async with cluster(tmp_path, *objects, unknown=("gatewaymigrations", "gateways")) as (client, _):
        taken = await take_stock(client)
    assert [item.rule for item in scan(taken, NOW).findings] == [Rule.UNGOVERNED]
    assert taken.unread == frozenset()


@pytest.mark.parametrize(
    ("plural", "kind"),
    [("gateways", "Gateway"), ("namespaces", "Namespace"), ("pods", "Pod"), ("configmaps", "ConfigMap")],
)
async def test_what_may_not_be_read_is_named(tmp_path: Path, plural: str, kind: str) -> None:
    async with cluster(tmp_path, *healthy(), forbidden=(plural,)) as (client, _):
        taken = await take_stock(client)
    assert taken.unread == {kind}
    assert scan(taken, NOW).findings == ()


@pytest.mark.parametrize("plural", ["deployments", "gatewaymigrations"])
async def test_without_deployments_or_records_there_is_nothing_to_judge(tmp_path: Path, plural: str) -> None:
    async with cluster(tmp_path, *healthy(), forbidden=(plural,)) as (client, _):
        with pytest.raises(ForbiddenError, match="name one that you may read: -n"):
            await take_stock(client)
        with pytest.raises(ForbiddenError, match=f"may not list {plural}$"):
            await take_stock(client, "team-a")


async def test_any_other_fault_ends_it(tmp_path: Path) -> None:
    async with serving([status(500)]) as api, client_of(api, tmp_path) as client:
        with pytest.raises(UnreachableError):
            await take_stock(client)


async def test_a_deployment_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    many = [{"name": f"V{number}", "value": "1"} for number in range(10_001)]
    bad = make.deployment(make.container(env=many), metadata={"name": "bad"})
    async with cluster(tmp_path, *healthy(), bad) as (client, _):
        taken = await take_stock(client)
    assert [(item.rule, item.name) for item in scan(taken, NOW).findings] == [(Rule.UNREADABLE, "bad")]


BROKEN: dict[str, Manifest] = {
    "a Gateway of a laxer definition": {
        "apiVersion": "security.brcmlabs.com/v1",
        "kind": "Gateway",
        "metadata": {"namespace": "team-a", "name": "broken"},
        "spec": {"app": {"management": {"database": {"migrationJob": {"enabled": "yes"}}}}},
    },
    "a record of another version": {
        "apiVersion": "schemagate.io/v1alpha1",
        "kind": "GatewayMigration",
        "metadata": {"namespace": "team-a", "name": "broken"},
        "spec": {"mode": "Someday"},
    },
}


@pytest.mark.parametrize("what", BROKEN)
async def test_an_object_that_cannot_be_read_hides_no_other(what: str, tmp_path: Path) -> None:
    broken = BROKEN[what]
    its_own = make.deployment(metadata={"name": "broken"})
    async with cluster(tmp_path, *healthy(), its_own, broken) as (client, _):
        found = await take_stock(client)
    assert found.unread == {f"{broken['kind']} team-a/broken"}
    assert [item.metadata.name for item in found.deployments] == ["ssg"]
