"""The Job of an operator or chart: which one counts for the wanted inputs, and why another does not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import IMAGE, NEXT_IMAGE, URL, config_map, config_maps, merged
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.evidence import tampering
from webhook.policy.migration.external import external_job, external_name
from webhook.policy.migration.job import job_name
from webhook.policy.names import LICENSE_PATH, NODE_PROPERTIES_PATH

REVIEWS = Path(__file__).parents[2] / "testdata" / "cases" / "reviews"
Manifest = dict[str, Any]
DATABASE = "mysql-primary:3306/ssg"
INPUTS = MigrationInputs(image=NEXT_IMAGE, jdbc_url=URL, database=DATABASE)
IN_FILE = MigrationInputs(image=NEXT_IMAGE, jdbc_url="node.properties:ssg-node-properties")
ONLY = "-Dgateway.db.schema-update.mode=liquibase-only"
OWNER = {
    "apiVersion": "security.brcmlabs.com/v1",
    "kind": "Gateway",
    "name": "ssg",
    "uid": "g-1",
    "controller": True,
}


def env(args: str | None = ONLY, **more: str) -> list[Manifest]:
    own = [] if args is None else [{"name": "EXTRA_JAVA_ARGS", "value": args}]
    return own + [{"name": name, "value": value} for name, value in more.items()]


def container(**tweak: Any) -> Manifest:
    """The container as it was recorded of an operator with a Job of its own."""
    base = {
        "name": "gateway",
        "image": NEXT_IMAGE,
        "env": env(),
        "envFrom": [{"configMapRef": {"name": "ssg"}}],
        "volumeMounts": [{"name": "gateway-license", "mountPath": LICENSE_PATH, "subPath": "license.xml"}],
    }
    return merged(base, tweak)


def job(*containers: Manifest, metadata: Manifest | None = None, **pod: Any) -> Manifest:
    base = {"name": "ssg-db-migration", "namespace": "team-a", "uid": "x-1", "ownerReferences": [OWNER]}
    spec = {"restartPolicy": "Never", "containers": list(containers) or [container()], **pod}
    return {"metadata": merged(base, metadata or {}), "spec": {"template": {"spec": spec}}}


def verdict(found: Manifest | None, inputs: MigrationInputs = INPUTS, **tweak: Any) -> str | None:
    return external_job(found, **{"name": "ssg", "inputs": inputs, "gateway_uid": "g-1", **tweak})


def test_the_job_of_an_operator_counts() -> None:
    assert verdict(job()) is None
    assert verdict(job(), config_maps=config_maps()) is None


def test_the_recorded_job_counts_and_its_pod_is_its_own() -> None:
    pod = json.loads((REVIEWS / "pod-create-upstream-migration-job.json").read_text())["request"]["object"]
    (owner,) = pod["metadata"]["ownerReferences"]
    # The service account's token is put into pods by admission; the template of the Job does not have it.
    spec = {key: value for key, value in pod["spec"].items() if key not in {"tolerations", "volumes"}}
    (main,) = spec["containers"]
    token = "kube-api-access"
    kept = [item for item in main["volumeMounts"] if not item["name"].startswith(token)]
    volumes = [item for item in pod["spec"]["volumes"] if not item["name"].startswith(token)]
    spec |= {"containers": [{**main, "volumeMounts": kept}], "volumes": volumes}
    made = job(*spec["containers"], metadata={"uid": owner["uid"]})
    assert verdict(made, replace(INPUTS, image=main["image"])) is None
    made |= {"spec": {"template": {"spec": spec}}, "status": {"succeeded": 1}}
    ended = {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}
    assert tampering(made, [{**pod, "spec": spec, "status": ended}]) is None


def test_without_a_job_it_is_waited_for() -> None:
    said = verdict(None) or ""
    assert said.startswith("there is no Job ssg-db-migration; waiting for the operator or chart")
    assert said.endswith("before-hook-creation, not hook-succeeded")
    assert NEXT_IMAGE in said


def test_ours_never_have_its_name() -> None:
    assert external_name("ssg") == "ssg-db-migration"
    assert job_name("team-a", "ssg", "0" * 64, 1) != external_name("ssg")


def hook(value: str) -> Manifest:
    return {"ownerReferences": None, "annotations": {"helm.sh/hook": value}}


OWNED: dict[str, tuple[Manifest, str | None, bool]] = {
    "the Gateway": ({}, "g-1", True),
    "a Gateway that is stored no more": ({}, None, False),
    "a Gateway of that name before": ({}, "g-0", False),
    "an owner without a UID": ({"ownerReferences": [{**OWNER, "uid": ""}]}, "", False),
    "an owner that does not control": ({"ownerReferences": [{**OWNER, "controller": False}]}, "g-1", False),
    "another kind": ({"ownerReferences": [{**OWNER, "kind": "Deployment"}]}, "g-1", False),
    "a Gateway of the Gateway API": (
        {"ownerReferences": [{**OWNER, "apiVersion": "gateway.networking.k8s.io/v1"}]},
        "g-1",
        False,
    ),
    "a newer version of the Gateway": (
        {"ownerReferences": [{**OWNER, "apiVersion": "security.brcmlabs.com/v2"}]},
        "g-1",
        True,
    ),
    "nobody": ({"ownerReferences": None}, "g-1", False),
    "a hook before an upgrade": (hook("pre-upgrade"), None, True),
    "a hook before both": (hook("pre-install, pre-upgrade"), None, True),
    "a hook before and after": (hook("post-install,pre-upgrade"), None, True),
    "a hook after": (hook("post-upgrade"), None, False),
    "a hook of another kind": (hook("pre-upgrade-x"), None, False),
}


@pytest.mark.parametrize(("metadata", "uid", "counts"), OWNED.values(), ids=OWNED.keys())
def test_whose_it_is(metadata: Manifest, uid: str | None, counts: bool) -> None:
    said = verdict(job(metadata=metadata), gateway_uid=uid)
    assert said is None if counts else "belongs neither" in (said or "")


def licensed(*paths: str, **tweak: Any) -> Manifest:
    return container(volumeMounts=[{"name": "v", "mountPath": path} for path in paths], **tweak)


OVERRIDDEN = "overrides the entrypoint"
NOT_MIGRATING = "does not say mode"
CONTAINERS: dict[str, tuple[list[Manifest], str | None]] = {
    "another image": ([container(image=IMAGE)], f"runs image {IMAGE}, not {NEXT_IMAGE}; waiting for the operator"),
    "a command": ([container(command=["true"])], OVERRIDDEN),
    "arguments": ([container(args=["--version"])], OVERRIDDEN),
    "an empty command": ([container(command=[], args=[])], None),
    "no license, but alone": ([licensed(name="db-migration")], None),
    "a sidecar first": ([{"name": "proxy", "image": "proxy"}, container()], None),
    "no license among several": ([licensed(), licensed(name="b")], "no container that is surely"),
    "the license twice": ([container(), container(name="b")], "no container that is surely"),
    "unlocking": ([container(env=env(f"{ONLY}-with-unlock"))], None),
    "among other arguments": ([container(env=env(f"-Xmx2g '{ONLY}' -Da=b"))], None),
    "no arguments": ([container(env=env(None))], NOT_MIGRATING),
    "no mode": ([container(env=env("-Da=b"))], NOT_MIGRATING),
    "another mode": ([container(env=env("-Dgateway.db.schema-update.mode=skip"))], NOT_MIGRATING),
    "two modes": ([container(env=env(f"{ONLY} -Dgateway.db.schema-update.mode=skip"))], NOT_MIGRATING),
    "something from elsewhere": ([container(env=env(f"{ONLY} $(MORE)"))], NOT_MIGRATING),
    "a later entry without": ([container(env=env() + env("-Da=b"))], NOT_MIGRATING),
    "a later entry with": ([container(env=env("-Da=b") + env())], None),
    "from a Secret": (
        [
            container(
                env=[
                    {"name": "EXTRA_JAVA_ARGS", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ]
            )
        ],
        NOT_MIGRATING,
    ),
}


@pytest.mark.parametrize(("containers", "problem"), CONTAINERS.values(), ids=CONTAINERS.keys())
def test_what_it_runs(containers: list[Manifest], problem: str | None) -> None:
    said = verdict(job(*containers))
    assert said is None if problem is None else problem in (said or "")


def test_a_chart_is_waited_for_as_a_chart() -> None:
    said = verdict(job(container(image=IMAGE), metadata=hook("pre-upgrade")))
    assert "waiting for the chart" in (said or "")


def with_url(url: str) -> Manifest:
    return container(env=env(SSG_DATABASE_JDBC_URL=url))


SECRET_URL = {
    "name": "SSG_DATABASE_JDBC_URL",
    "valueFrom": {"secretKeyRef": {"name": "ssg-db-migration-secret", "key": "url"}},
}
OTHER = "migrates other:3306/ssg, not mysql-primary:3306/ssg"
DATABASES: dict[str, tuple[Manifest, str | None]] = {
    "the same": (with_url(URL), None),
    "the documented override of it": (with_url(f"{URL}?createDatabaseIfNotExist=false"), None),
    "with a user in it": (with_url("jdbc:mysql://gateway:7layer@mysql-primary:3306/ssg"), None),
    "another host": (with_url("jdbc:mysql://gateway:7layer@other:3306/ssg"), OTHER),
    "another schema": (with_url("jdbc:mysql://mysql-primary:3306/x"), "migrates mysql-primary:3306/x"),
    "an embedded one": (with_url("jdbc:h2:mem:ssg"), "migrates jdbc:h2:mem:ssg"),
    "none that can be read": (with_url("jdbc:mysql://$(HOST)/ssg"), "cannot be told"),
    "from a Secret, which is not read": (container(env=[*env(), SECRET_URL]), None),
    "another place for the URL": (container(env=env(DISKLESS_CONFIG="false")), "sets DISKLESS_CONFIG to false"),
}


@pytest.mark.parametrize(("item", "problem"), DATABASES.values(), ids=DATABASES.keys())
def test_which_database_it_migrates(item: Manifest, problem: str | None) -> None:
    said = verdict(job(item))
    assert said is None if problem is None else problem in (said or "")
    assert "7layer" not in (said or "")


def test_a_database_that_is_not_known_is_not_that_of_a_literal_url() -> None:
    inputs = replace(INPUTS, jdbc_url="secret:db/url", database=None)
    assert "not secret:db/url" in (verdict(job(with_url(URL)), inputs) or "")


def test_a_url_from_a_config_map_is_judged_where_the_map_is_given() -> None:
    maps = config_maps(config_map(SSG_DATABASE_JDBC_URL="jdbc:mysql://other:3306/ssg"))
    assert verdict(job()) is None
    assert OTHER in (verdict(job(), config_maps=maps) or "")


def in_file(source: Manifest, **tweak: Any) -> Manifest:
    item = container(**tweak)
    item["volumeMounts"].append({"name": "file", "mountPath": NODE_PROPERTIES_PATH, "subPath": "node.properties"})
    return job(item, volumes=[{"name": "file", **source}])


FILES: dict[str, tuple[Manifest, str | None]] = {
    "the same": (in_file({"secret": {"secretName": "ssg-node-properties"}}), None),
    "a URL beside it, which is not looked at": (
        in_file(
            {"secret": {"secretName": "ssg-node-properties"}},
            env=env(SSG_DATABASE_JDBC_URL="jdbc:mysql://other/x"),
        ),
        None,
    ),
    "another Secret": (in_file({"secret": {"secretName": "x"}}), "takes its database from node.properties:x"),
    "none": (job(), "takes its database from node.properties:none"),
    "diskless": (
        in_file({"secret": {"secretName": "ssg-node-properties"}}, env=env(DISKLESS_CONFIG="true")),
        "sets DISKLESS_CONFIG to true",
    ),
}


@pytest.mark.parametrize(("found", "problem"), FILES.values(), ids=FILES.keys())
def test_node_properties(found: Manifest, problem: str | None) -> None:
    said = verdict(found, IN_FILE)
    assert said is None if problem is None else problem in (said or "")


ALIASES: Manifest = {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["mysql-primary"]}]}


def test_host_names_lead_to_the_same_place() -> None:
    network = '{"hostAliases":[{"hostnames":["mysql-primary"],"ip":"10.0.0.1"}]}'
    assert "hostAliases" in (verdict(job(**ALIASES)) or "")
    assert "hostAliases" in (verdict(job(), replace(INPUTS, network=network)) or "")
    assert verdict(job(**ALIASES), replace(INPUTS, network=network)) is None


BROKEN: list[Any] = [
    {},
    {"metadata": {"ownerReferences": "x"}},
    {"metadata": job()["metadata"]},
    {"metadata": job()["metadata"], "spec": {"template": {"spec": {"containers": [None]}}}},
    job(container(image="x\n\x1b[31m" * 1000)),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_job_that_is_none_does_not_count(broken: Manifest) -> None:
    said = verdict(broken)
    assert said
    assert len(said) <= 1024
    assert said.isprintable()
