"""``schemagate audit`` on a real cluster: one of each finding and nothing else, rejections from its audit log."""

import asyncio
import copy
import json
import re
from pathlib import Path
from typing import Any

from tests.controlplane.client import until
from tests.controlplane.cluster import ControlPlane
from tests.live.installation import Installation, Replica
from tests.live.people import holds
from tests.live.test_cli import Person
from tests.live.world import NEW, OLD, Manifest, World
from webhook.policy.names import MODE_PROPERTY

TOO_OLD = "docker.io/caapim/gateway:11.1.3"
HAMPERED = ("fine", "warned", "drift", "modes", "one", "two", "invalid", "failed")
"""Gateways with a record each, which all start well."""
UNGOVERNED = re.compile(r'^schemagate_findings{rule="Ungoverned"} [1-9]', re.MULTILINE)
KINDS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "GatewayMigration": "schemagate.io/v1alpha1",
    "Pod": "v1",
}


def of_its_own(world: World, name: str, image: str = OLD, database: str = "", mode: str = "") -> list[Manifest]:
    """The recorded Gateway under another name: its ConfigMap and its Deployment, which nobody owns."""
    _, config_map, deployment = copy.deepcopy(world.recorded("operator-gateway"))
    for document in (config_map, deployment):
        document["metadata"] = {"name": name}
    config_map["data"]["SSG_DATABASE_JDBC_URL"] = f"jdbc:mysql://{database or f'{name}-db'}:3306/ssg"
    config_map["data"]["EXTRA_JAVA_ARGS"] = f"-D{MODE_PROPERTY}={mode}" if mode else "-Dfoo=bar"
    labels = {"app": name}
    template = deployment["spec"]["template"]
    deployment["spec"] |= {"selector": {"matchLabels": labels}, "replicas": 1}
    template["metadata"] = {"labels": labels}
    template["spec"]["containers"][0] |= {"image": image, "envFrom": [{"configMapRef": {"name": name}}]}
    return [config_map, deployment]


async def populated(world: World) -> None:
    """Have a namespace of Gateways run, and those that are to be guarded be adopted as they are."""
    for name in (*HAMPERED, "bare", "ancient"):
        image = {"two": NEW, "ancient": TOO_OLD}.get(name, OLD)
        shared = "shared-db" if name in {"one", "two"} else ""
        for document in of_its_own(world, name, image, shared, "liquibase-only" if name == "modes" else ""):
            await world.create(document)
    for name in (*HAMPERED, "ancient"):
        await world.settled(name)
        await world.write_record(name, **({"mode": "Warn"} if name == "warned" else {}))
    for name in HAMPERED:
        await world.reaches("Complete", name)
    await world.patch("GatewayMigration", "failed", {"spec": {"image": f"{NEW}-fail", "podAttempts": 1}})
    await world.reaches("Failed", "failed")


async def spoiled(world: World) -> None:
    """Do to each what it is named after, while no controller mends it."""
    await world.set_image("warned", NEW)
    await world.settled("warned")
    moved = {"data": {"SSG_DATABASE_JDBC_URL": "jdbc:mysql://elsewhere-db:3306/ssg"}}
    await world.patch("ConfigMap", "drift", moved)
    await world.admin.delete(world.path("ConfigMap", "invalid"))
    await world.write_record("skipper")
    for document in of_its_own(world, "skipper", mode="skip"):
        await world.create(document)
    await world.settled("skipper")


async def scanned(person: Person, *flags: str) -> tuple[int, dict[str, Any]]:
    done = await person.runs("schemagate", "audit", "scan", "-o", "json", *flags)
    assert done.err == ""
    return done.code, json.loads(done.out)


async def test_one_of_each_is_found_and_nothing_else(
    world: World, no_controller: Installation, control_plane: ControlPlane, tmp_path: Path
) -> None:
    person = Person(control_plane.admin_kubeconfig, tmp_path)
    controller = no_controller.start("controller")
    await populated(world)
    controller.component.stop()
    await spoiled(world)

    code, document = await scanned(person, "-n", world.namespace)
    assert code == 1
    assert sorted((item["rule"], item["name"]) for item in document["findings"]) == [
        ("ConfigDrift", "drift"),
        ("ConflictingModes", "modes"),
        ("IncompleteHash", "warned"),
        ("InvalidInputs", "invalid"),
        ("MigrationFailed", "failed"),
        ("SharedDatabase", "one"),
        ("SharedDatabase", "two"),
        ("SkipWithoutEvidence", "skipper"),
        ("Ungoverned", "bare"),
        ("UnsupportedVersion", "ancient"),
    ]
    total = document["total"]
    assert (total["gateways"], total["governed"], total["ungoverned"], total["unsupported"]) == (11, 10, 1, 1)
    assert (total["complete"], total["incomplete"], document["unread"]) == (5, 4, [])

    # The same objects in files, as kubectl writes them, say the same.
    file = tmp_path / "objects.json"
    items = [
        {"apiVersion": version, "kind": kind, **item}
        for kind, version in KINDS.items()
        for item in await world.admin.items(world.path(kind))
    ]
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    again, offline = await scanned(person, "--objects", str(file))
    assert (again, offline["findings"], offline["total"]) == (1, document["findings"], total)


async def test_the_leader_scans_too_with_its_own_rights(world: World, no_controller: Installation) -> None:
    for document in of_its_own(world, "bare"):
        await world.create(document)
    leader = no_controller.start("controller", scan_seconds=0.5)

    async def counted() -> bool:
        return UNGOVERNED.search(await asyncio.to_thread(leader.metrics)) is not None

    try:
        await until(counted, what="the leader's scan")
    finally:
        leader.component.stop()
    assert "scan_" not in leader.component.log.read_text()  # nothing that it could not read


async def test_who_may_read_little_is_told_what_is_missing(
    world: World, installation: Installation, control_plane: ControlPlane, tmp_path: Path
) -> None:
    for document in of_its_own(world, "bare"):
        await world.create(document)
    core = f"/api/v1/namespaces/{world.namespace}"
    await world.admin.post(f"{core}/serviceaccounts", {"metadata": {"name": "viewer"}})
    binding = {
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": world.namespace}],
    }
    await world.admin.post(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{world.namespace}/rolebindings", binding
    )
    await holds(world, f"system:serviceaccount:{world.namespace}:viewer", "list", "apps", "deployments")
    viewer = Person(control_plane.kubeconfig_for("viewer", world.namespace), tmp_path)

    done = await viewer.runs("schemagate", "audit", "scan", "-n", world.namespace)
    assert done.code == 2, done
    assert done.out == "1 Gateway: 1 unknown\n"
    assert done.err == "you may not read Gateways: a Gateway that nothing else asks to guard counts as unknown\n"
    anyway = await viewer.runs("schemagate", "audit", "scan", "-n", world.namespace, "--fail-on", "never")
    assert (anyway.code, anyway.out, anyway.err) == (0, done.out, done.err)

    everywhere = await viewer.runs("schemagate", "audit", "scan", "-A")
    assert (everywhere.code, everywhere.out, everywhere.err.count("\n")) == (2, "", 1)
    assert "name one that you may read: -n" in everywhere.err


async def test_what_was_turned_away_is_read_from_the_audit_log_of_the_api_server(
    world: World, controller: Replica, control_plane: ControlPlane, tmp_path: Path
) -> None:
    await world.operator_gateway()
    await world.write_record("ssg")
    await world.reaches("Complete", image=OLD)
    await world.shut()
    said = await world.denial("ssg", NEW)
    # A restart is let through, and is no rejection.
    restarted = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}
    await world.patch("Deployment", "ssg", restarted)
    for number, mode in enumerate(("Warn", "Audit", "Hold"), 1):
        image = f"{NEW}.{number}-slow"
        await told_by_dry_runs(world, mode, image)
        await world.set_image("ssg", image)

    rows = await until(lambda: in_the_log(world, tmp_path), what="all four are in the audit log")
    assert rows is not None
    assert [(row["name"], row["decision"], row["mode"], row["times"]) for row in rows] == [
        ("ssg", "denied", "Reject", 1),
        ("ssg", "warned", "Warn", 1),
        ("ssg", "noted", "Audit", 1),
        ("ssg", "held", "Hold", 1),
    ]
    assert rows[0]["reason"] == "MigrationPending"
    assert rows[0]["hash"] in said
    # The record tells of the same denial.
    record = await until(lambda: kept(world), what="the record holds it")
    assert record is not None
    denied = [item for item in record["status"]["rejections"]["newest"] if item["toImage"] == NEW]
    assert [(item["hash"], item["reason"], item["user"]) for item in denied] == [
        (rows[0]["hash"], rows[0]["reason"], rows[0]["user"])
    ]


async def told_by_dry_runs(world: World, mode: str, image: str) -> None:
    """Set the record's mode, and wait until the webhook knows: dry runs show it, and are no rejections."""
    await world.patch("GatewayMigration", "ssg", {"spec": {"mode": mode}})

    async def known() -> bool:
        found = await world.set_image("ssg", image, dryRun="All")
        warned = any("is blocked" in warning for warning in world.admin.warnings)
        return (warned, found["spec"].get("paused", False)) == (mode == "Warn", mode == "Hold")

    await until(known, what=f"the webhook knows mode {mode}")


async def in_the_log(world: World, folder: Path) -> list[Manifest] | None:
    """Give the rejections of the test's namespace once the log has four."""
    person = Person(world.plane.admin_kubeconfig, folder)
    log = str(world.plane.folder / "audit.log")
    done = await person.runs(
        *("schemagate", "audit", "rejections", "--from-audit-log", log, "-n", world.namespace, "-o", "json")
    )
    assert done.code == 0, done
    rows = list(json.loads(done.out)["rejections"])
    return rows if len(rows) >= 4 else None


async def kept(world: World) -> Manifest | None:
    """Give the record once it holds a rejection."""
    found = await world.record()
    return found if found["status"].get("rejections", {}).get("newest") else None
