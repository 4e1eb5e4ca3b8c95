"""``schemagate review`` and ``schemagate hash``: what they say of good input, and of bad."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import CASES, PATIENCE, Cli, Done
from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE
from webhook.policy.names import ENFORCE
from webhook.policy.record.spec import JDBC_URL_PATTERN

ENFORCED = make.namespace("team-a", **{ENFORCE: "reject"})
UPGRADE = make.deployment(make.container(image=NEXT_IMAGE))
SECRET = "hunter2"
SECRETIVE = f"jdbc:mysql://root:{SECRET}@db:3306/ssg?password={SECRET}&user={SECRET}"


@pytest.fixture
def objects(write: Callable[..., Any]) -> Any:
    return write(ENFORCED, make.config_map(), make.deployment(), name="cluster.yaml")


def rows(done: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_an_upgrade_is_denied_and_says_what_to_do(cli: Cli, write: Callable[..., Any], objects: Path) -> None:
    done = cli("review", write(UPGRADE), "--objects", objects)
    assert done.code == 1
    for part in ("deny", "team-a/ssg", "MigrationPending", "by_mode", "schemagate migrate ssg -n team-a", ":1"):
        assert part in done.out
    assert done.err == ""


def test_no_change_passes(cli: Cli, write: Callable[..., Any], objects: Path) -> None:
    done = cli("review", write(make.deployment()), "--objects", objects)
    assert done.code == 0
    assert "TemplateUnchanged" in done.out


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_same(
    cli: Cli, write: Callable[..., Any], objects: Path, output: str, parse: Any
) -> None:
    done = cli("review", write(UPGRADE), "--objects", objects, "-o", output)
    (row,) = parse(done.out)
    assert (done.code, row["verdict"], row["check"], row["operation"]) == (1, "deny", "by_mode", "UPDATE")
    assert row["response"]["status"]["code"] == 403


@pytest.mark.parametrize(
    ("mode", "code", "verdict"), [("Warn", 0, "warn"), ("Audit", 0, "allow"), ("Reject", 1, "deny")]
)
def test_the_default_mode_decides_where_none_is_named(
    cli: Cli, write: Callable[..., Any], mode: str, code: int, verdict: str
) -> None:
    objects = write(make.config_map(), make.deployment(), make.record(), name="cluster.yaml")
    done = cli("review", write(UPGRADE), "--objects", objects, "--default-mode", mode, "-o", "json")
    assert (done.code, rows(done)[-1]["verdict"]) == (code, verdict)


def test_in_hold_mode_both_webhooks_speak_in_turn(cli: Cli, write: Callable[..., Any]) -> None:
    objects = write(make.config_map(), make.deployment(), make.record(spec={"mode": "Hold"}), name="cluster.yaml")
    done = cli("review", write(UPGRADE), "--objects", objects, "-o", "json")
    assert [(row["webhook"], row["reason"]) for row in rows(done)] == [
        ("/mutate-apps-v1-deployment", "Held"),
        ("/validate-apps-v1-deployment", "Held"),
    ]
    assert {"op": "add", "path": "/spec/paused", "value": True} in rows(done)[0]["patch"]
    assert done.code == 0


def test_what_is_in_the_same_stream_counts_as_applied_before(cli: Cli, write: Callable[..., Any]) -> None:
    old = write(make.deployment(), make.config_map(), name="cluster.yaml")
    stream = write(UPGRADE, make.config_map(), make.record())
    assert cli("review", stream, "--objects", old).code == 1
    assert cli("review", write(UPGRADE, make.config_map()), "--objects", old).code == 0
    stream = write(UPGRADE, make.config_map(), ENFORCED)
    assert cli("review", stream, "--objects", old).code == 1
    moved = make.config_map(SSG_DATABASE_JDBC_URL="jdbc:mysql://new:3306/ssg")
    stream = write(make.deployment(), moved, make.record())
    assert cli("review", stream).code == 0, "a first install"


HELM = """\
---
# Source: gateway/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: ssg
---
apiVersion: v1
kind: Service
metadata:
  name: other
---
"""


def test_a_chart_on_standard_input(start: Callable[..., Any], objects: Path) -> None:
    chart = make.merged(UPGRADE, {"metadata": {"namespace": None}})
    other = make.deployment(make.container(volumeMounts=[]), metadata={"name": "other", "namespace": None})
    text = (HELM + yaml.safe_dump_all([chart, other])).replace("\n", "\r\n")
    with start("review", "-", "--objects", objects, "-n", "team-a", "-o", "json") as process:
        done = Done(0, *process.process.communicate(text, timeout=PATIENCE))
        done = replace(done, code=process.process.returncode)
    assert done.code == 1
    assert [(row["object"], row["reason"]) for row in rows(done)] == [
        ("team-a/ssg", "MigrationPending"),
        ("team-a/other", "NotAGateway"),
    ]
    assert rows(done)[0]["where"] == "-:13"
    assert done.err.count("kind Service is not read (2)") == 1


def test_pods_are_judged(cli: Cli, write: Callable[..., Any], objects: Path) -> None:
    done = cli("review", write(make.pod()), "--objects", objects, "-o", "json")
    assert done.code == 0
    assert rows(done)[0]["reason"] == "SkipWithheld"


@pytest.mark.parametrize("path", sorted((CASES / "reviews").iterdir()), ids=lambda path: path.stem)
def test_recorded_reviews_are_answered(cli: Cli, path: Any) -> None:
    done = cli("review", path, "--objects", CASES / "objects", "-o", "json")
    assert done.code in {0, 1}
    assert (done.code == 1) == any(row["verdict"] == "deny" for row in rows(done))


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
@pytest.mark.parametrize("command", ["review", "hash"])
@pytest.mark.parametrize(
    "url", [SECRETIVE, f"{SECRETIVE}#x", f"mysql://root:{SECRET}@db/ssg", f"jdbc:mysql:{SECRET}"]
)
def test_credentials_are_never_printed(
    cli: Cli, write: Callable[..., Any], output: str, command: str, url: str
) -> None:
    objects = write(ENFORCED, make.config_map(SSG_DATABASE_JDBC_URL=url), make.deployment(), name="cluster.yaml")
    record = make.record(spec={"jdbcUrl": url})
    refused = re.match(JDBC_URL_PATTERN, url) is None
    for manifests, codes in (([UPGRADE], {0, 1}), ([UPGRADE, record], {2} if refused else {0, 1})):
        done = cli(command, write(*manifests), "--objects", objects, "-o", output)
        assert done.code in codes
        assert SECRET not in done.out + done.err


def test_control_characters_are_not_printed(cli: Cli, write: Callable[..., Any]) -> None:
    evil = make.deployment(metadata={"name": "x\x1b[31m\u202ey"})
    done = cli("review", write(evil, make.config_map()))
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out


@pytest.mark.parametrize(("output", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_hash_shows_the_inputs(
    cli: Cli, write: Callable[..., Any], objects: Path, output: str, parse: Any
) -> None:
    done = cli("hash", write(UPGRADE), "--objects", objects, "-o", output)
    (row,) = parse(done.out)
    assert done.code == 0
    assert (row["deployment"], row["image"], row["governedBy"]) == ("team-a/ssg", NEXT_IMAGE, "Namespace")
    assert row["jdbcUrl"] == "jdbc:mysql://mysql-primary:3306/ssg"
    assert len(row["hash"]) == 64
    assert row["shown"] == row["hash"][:16]
    assert row["hash"] in cli("hash", write(UPGRADE), "--objects", objects).out


def test_hash_of_no_database(cli: Cli, write: Callable[..., Any]) -> None:
    done = cli("hash", write(make.deployment(), make.config_map(data={"DISKLESS_CONFIG": "true"})))
    assert (done.code, done.out) == (0, "team-a/ssg: no database, nothing to migrate\n")


KEY = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "db", "key": "url"}}}


@pytest.mark.parametrize("command", ["review", "hash"])
@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}, "expected"),
        (make.deployment(), "ConfigMap ssg, which is not among the objects"),
        (make.deployment(make.container(envFrom=[], env=[KEY])), "ConfigMap db, which is not among"),
        (make.deployment(spec={"template": 5}), "objects.yaml:1: "),
        (make.deployment(spec={"paused": "no"}), "objects.yaml:1: "),
        (make.deployment(metadata={"name": 5}), "objects.yaml:1: "),
        (make.merged(make.deployment(), {"apiVersion": "v1"}), "expected apps/v1"),
        ({"kind": "Deployment"}, "objects.yaml:1: expected a Kubernetes object, but it has no apiVersion"),
        (make.record(spec={"mod": "Hold"}), "objects.yaml:1: GatewayMigration: spec.mod"),
        ([1], "got a list"),
    ],
)  # fmt: skip
def test_bad_input_is_told(cli: Cli, write: Callable[..., Any], command: str, manifest: Any, said: str) -> None:
    done = cli(command, write(manifest))
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    "review",
    [
        {"request": "x"},
        {"request": {"kind": "x"}},
        {"request": {"kind": {"kind": ["Pod"]}}},
        {"request": {"kind": {"kind": "Pod"}, "uid": 5}},
        {},
    ],
)
def test_a_review_that_is_none_is_told(cli: Cli, write: Callable[..., Any], review: Any) -> None:
    done = cli("review", write({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", **review}))
    assert done.code == 2
    assert "objects.yaml:1: expected" in done.err


def test_an_old_review_is_told(cli: Cli, write: Callable[..., Any]) -> None:
    review = json.loads((CASES / "reviews" / "deployment-delete.json").read_text())
    done = cli("review", write({**review, "apiVersion": "admission.k8s.io/v1beta1"}))
    assert done.code == 2
    assert "expected apiVersion admission.k8s.io/v1 " in done.err


def test_standard_input_is_read_once(cli: Cli) -> None:
    done = cli("review", "-", "--objects", "-")
    assert done.code == 2
    assert "standard input can be read once only" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["review"],
        ["hash"],
        ["serve"],
        ["nonsense"],
        ["review", "x.yaml", "-o", "xml"],
        ["review", "x.yaml", "--nonsense"],
        ["serve", "--objects", "x", "--jobs", "sometimes"],
        ["serve", "--objects", "x", "--port", "http"],
        ["demo", "extra"],
    ],
)
def test_bad_usage_is_2(cli: Cli, arguments: Any) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert "Usage: schemagate" in done.err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["demo", "-h"], ["serve", "--help"], ["review", "-h"], ["hash", "-h"]]
)
def test_help_explains_every_option(cli: Cli, arguments: Any) -> None:
    done = cli(*arguments)
    assert done.code == 0
    options = [line for line in done.out.splitlines() if line.startswith("  -")]
    assert options
    assert "Usage: schemagate" in done.out


def test_the_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.code, done.out.startswith("schemagate, version 0.")) == (0, True)


def test_kinds_that_are_not_read_are_told_once(cli: Cli, write: Callable[..., Any], objects: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}
    more = write(service, service, service, name="services.yaml")
    done = cli("review", write(make.deployment()), "--objects", objects, "--objects", more)
    assert done.code == 0
    assert done.err.splitlines() == [
        f"{more}:1: kind Service is not read (3); read are AdmissionReview, ConfigMap, Deployment, Gateway, "
        "GatewayMigration, Job, Namespace, Pod"
    ]


def test_a_manifest_without_a_namespace_is_told(cli: Cli, write: Callable[..., Any], objects: Path) -> None:
    """A chart writes none, and in the wrong namespace nothing is governed."""
    unplaced = make.deployment(make.container(image=make.NEXT_IMAGE), metadata={"namespace": None})
    path = write(unplaced)
    done = cli("review", path, "--objects", objects, "-n", "team-a")
    assert (done.code, done.err) == (1, "")
    assert "names no namespace, taken as default; give -n" in cli("review", path).err
