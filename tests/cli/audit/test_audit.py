"""``schemagate audit scan`` and ``rejections`` without a cluster: flags, files, logs, exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from tests.audit.stocks import healthy, recorded, swapped
from tests.audit.test_apiserver_log import event
from tests.cli.conftest import CASES, Cli
from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.audit.scan.finding import Finding, Rule, Severity
from webhook.audit.scan.scan import Scan
from webhook.audit.scan.stock import Stock
from webhook.cli.audit.period import moment
from webhook.cli.audit.scan import exit_code
from webhook.cli.audit.stock import tell_gaps

Write = Callable[..., Path]
UPGRADED = swapped("Deployment", {"spec": {"template": {"spec": make.pod_spec(make.container(image=NEXT_IMAGE))}}})


def entry(**tweak: Any) -> dict[str, Any]:
    return {
        "hash": "0123456789abcdef",
        "reason": "MigrationPending",
        "user": "alice",
        "fromImage": IMAGE,
        "toImage": NEXT_IMAGE,
        "mode": "Reject",
        "decision": "denied",
        "count": 2,
        "first": "2026-11-22T11:00:00Z",
        "last": "2026-11-22T11:30:00Z",
        **tweak,
    }


OPEN = entry()
ENDED = entry(user="bob", reason="MigrationRunning", mode="Hold", decision="held", ended="Migrated", passes=True)
LEDGER = make.record(status={"rejections": {"count": 4, "newest": [OPEN, ENDED]}})


# Scan.


def test_a_scan_of_recorded_objects_is_a_table_with_figures(cli: Cli) -> None:
    done = cli("audit", "scan", "--objects", CASES / "objects")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["SEVERITY", "RULE", "NAMESPACE", "OBJECT", "MESSAGE"]
    assert [line.split()[1:4] for line in lines[1:4]] == [
        ["Ungoverned", "team-a", "Deployment/ssg"],
        ["Ungoverned", "team-b", "Deployment/edge"],
        ["UnsupportedVersion", "team-h", "Deployment/my-gateway"],
    ]
    assert lines[-1] == "3 Gateways: 3 ungoverned"


@pytest.mark.parametrize(
    ("fail_on", "code"), [("high", 0), ("medium", 1), ("low", 1), ("info", 1), ("never", 0), (None, 0)]
)
def test_the_exit_code_is_that_of_the_severity_asked_for(cli: Cli, fail_on: str | None, code: int) -> None:
    flags = ("--fail-on", fail_on) if fail_on else ()
    assert cli("audit", "scan", "--objects", CASES / "objects", *flags).code == code


def test_what_is_grave_fails_by_default_and_wide_tells_what_to_do(cli: Cli, write: Write) -> None:
    done = cli("audit", "scan", "--objects", write(*UPGRADED), "-o", "wide")
    assert done.code == 1
    assert f"schemagate migrate ssg -n team-a --image {NEXT_IMAGE} --wait" in done.out
    assert done.out.splitlines()[-1] == "1 Gateway: 1 governed (1 incomplete)"
    assert cli("audit", "scan", "--objects", write(*healthy())).code == 0


def test_a_rule_and_a_namespace_may_be_asked_for(cli: Cli) -> None:
    command = ("audit", "scan", "--objects", CASES / "objects", "-o", "csv")
    (row,) = csv.DictReader(io.StringIO(cli(*command, "--rule", "UnsupportedVersion").out))
    assert row["name"] == "my-gateway"
    (row,) = csv.DictReader(io.StringIO(cli(*command, "-n", "team-b").out))
    assert row["name"] == "edge"


def test_every_format_of_a_scan_is_what_it_says(cli: Cli) -> None:
    def out(output: str) -> str:
        return cli("audit", "scan", "--objects", CASES / "objects", "-o", output).out

    assert json.loads(out("json"))["schema"] == "schemagate.io/audit-scan/v1"
    assert json.loads(out("sarif"))["version"] == "2.1.0"
    assert ElementTree.fromstring(out("junit")).tag == "testsuites"
    assert len(list(csv.reader(io.StringIO(out("csv"))))) == 4


def test_the_default_mode_is_that_of_the_webhook(cli: Cli, write: Write) -> None:
    objects = write(*swapped("Namespace", {"metadata": {"labels": None}}, UPGRADED))
    for mode in ("Reject", "Audit"):
        done = cli("audit", "scan", "--objects", objects, "--default-mode", mode)
        assert "IncompleteHash" in done.out


def test_what_could_not_be_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell_gaps(Stock(unread=frozenset({"Pod", "ConfigMap"})))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("you may not read ConfigMaps: only migrations that failed")
    assert second == "you may not read Pods: pods are left out"


GRAVE, UNREAD = (Finding.of(Rule.INCOMPLETE_HASH, ("a", "b"), "what", "do"),), frozenset({"ConfigMap"})


@pytest.mark.parametrize(
    ("found", "limit", "code"),
    [
        (Scan(unread=UNREAD), Severity.HIGH, 2),
        (Scan(unread=UNREAD), None, 0),
        (Scan(findings=GRAVE, unread=UNREAD), Severity.HIGH, 1),
        (Scan(findings=GRAVE), None, 0),
        (Scan(), Severity.INFO, 0),
    ],
    ids=["unread", "unread, and never", "both", "found, and never", "clean"],
)
def test_what_was_not_judged_is_no_success(found: Scan, limit: Severity | None, code: int) -> None:
    assert exit_code(found, limit) == code


# Rejections.


def test_rejections_of_records_tell_who_and_what_came_of_it(cli: Cli, write: Write) -> None:
    done = cli("audit", "rejections", "--objects", write(LEDGER))
    assert done.code == 0
    head, first, second = done.out.splitlines()
    assert head.split() == [
        "LAST",
        "NAMESPACE",
        "NAME",
        "DECISION",
        "REASON",
        "TIMES",
        "USER",
        "CHANGE",
        "OUTCOME",
    ]
    assert first.split()[1:9] == ["team-a", "ssg", "denied", "MigrationPending", "2", "alice", "11.2.2", "→"]
    assert second.split()[3] == "held"


@pytest.mark.parametrize(
    ("flags", "users"),
    [
        (("--open",), ["alice"]),
        (("--user", "bob"), ["bob"]),
        (("--user", "*"), ["alice", "bob"]),
        (("--reason", "MigrationRunning"), ["bob"]),
        (("--reason", "MigrationRunning", "--reason", "MigrationPending"), ["alice", "bob"]),
        (("--mode", "Reject"), ["alice"]),
        (("--since", "2026-11-22T11:31:00Z"), []),
        (("--until", "2026-11-22T11:31:00Z"), ["alice", "bob"]),
        (("-n", "team-a"), ["alice", "bob"]),
        (("-n", "team-b"), []),
    ],
)
def test_filters(cli: Cli, write: Write, flags: tuple[str, ...], users: list[str]) -> None:
    done = cli("audit", "rejections", "--objects", write(LEDGER), "-o", "json", *flags)
    assert [row["user"] for row in json.loads(done.out)["rejections"]] == users


def test_every_format_of_rejections_is_what_it_says(cli: Cli, write: Write) -> None:
    command = ("audit", "rejections", "--objects", write(LEDGER), "-o")
    assert len(list(csv.DictReader(io.StringIO(cli(*command, "csv").out)))) == 2
    assert ElementTree.fromstring(cli(*command, "junit").out).get("failures") == "1"
    assert "GROUPS" in cli(*command, "wide").out


def test_no_rejections_are_told_on_stderr(cli: Cli, write: Write) -> None:
    done = cli("audit", "rejections", "--objects", write(*healthy()))
    assert (done.code, done.out, done.err) == (0, "", "no rejections\n")


def log(folder: Path, *events: dict[str, Any], broken: int = 0, name: str = "audit.log") -> Path:
    path = folder / name
    data = b"".join(json.dumps(item).encode() + b"\n" for item in events) + b"half\n" * broken
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["audit.log", "audit.log.gz"])
def test_rejections_of_an_audit_log(cli: Cli, tmp_path: Path, name: str) -> None:
    path = log(tmp_path, event(), event(), broken=1, name=name)
    done = cli("audit", "rejections", "--from-audit-log", path, "-o", "json")
    (row,) = json.loads(done.out)["rejections"]
    assert (row["user"], row["times"], row["decision"], row["passes"]) == ("alice", 2, "denied", None)
    assert done.err == "1 of 3 lines are no audit events and were left out\n"


def test_an_audit_log_may_come_from_stdin(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with log(tmp_path, event()).open() as file:
        monkeypatch.setattr("sys.stdin", file)
        done = cli("audit", "rejections", "--from-audit-log", "-", "-n", "team-a")
    assert "MigrationPending" in done.out
    assert done.err == ""


def test_logs_may_overlap(cli: Cli, tmp_path: Path) -> None:
    paths = [log(tmp_path, event(auditID="one"), name=name) for name in ("a", "b")]
    done = cli("audit", "rejections", "--from-audit-log", paths[0], "--from-audit-log", paths[1], "-o", "json")
    assert json.loads(done.out)["rejections"][0]["times"] == 1


def test_a_log_without_a_verdict_of_ours_says_what_to_look_for(cli: Cli, tmp_path: Path) -> None:
    done = cli("audit", "rejections", "--from-audit-log", log(tmp_path, event({})))
    assert "level Metadata" in done.err


# Usage.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("scan", "-A", "-n", "x"), "give no -n with it"),
        (("scan", "--objects", "x", "--context", "y"), "give no --kubeconfig or --context with it"),
        (("scan", "--objects", "none.yaml"), "none.yaml: cannot be read"),
        (("scan", "-o", "yaml"), "'yaml' is not one of"),
        (("scan", "-n", "A/b"), "expected the name of an object"),
        (("rejections", "-o", "sarif"), "'sarif' is not one of"),
        (("rejections", "--objects", "x", "--from-audit-log", "y"), "are two sources"),
        (("rejections", "--from-audit-log", "none", "--open"), "--open needs records"),
        (("rejections", "--from-audit-log", "none"), "none: cannot be read"),
        (("rejections", "--from-audit-log", "-", "--from-audit-log", "-"), "once only"),
        (("rejections", "--since", "yesterday"), "'yesterday' is no time; write 2h, 3d"),
        (("rejections", "--until", "2026-11-22T12:00:00"), "is no time"),
        (("rejections", "--reason", "Nope"), "'Nope' is not one of"),
    ],
)
def test_bad_usage_is_told(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli("audit", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", 30), ("5m", 300), ("2h", 7200), ("3d", 3 * 86400), ("1w", 7 * 86400), (" 2h ", 7200)],
)
def test_a_moment_may_be_told_by_how_long_ago_it_was(text: str, ago: int) -> None:
    assert moment(text, NOW) == NOW - timedelta(seconds=ago)


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00Z", "2026-11-22T13:00:00+01:00"])
def test_a_moment_may_be_a_time(text: str) -> None:
    assert moment(text, NOW - timedelta(days=1)) == NOW


@pytest.mark.parametrize("text", ["", "2", "h", "2y", "-2h", "999999w", "٢h", "2026-11-22"])
def test_any_other_text_is_no_moment(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        moment(text, NOW)


def test_recorded_objects_with_a_record_that_is_complete_have_nothing_wrong(cli: Cli, write: Write) -> None:
    objects = write(*recorded("operator-gateway"), name="recorded.yaml")
    hashed = cli("hash", objects, "-o", "json")
    spec_hash = json.loads(hashed.out)[0]["hash"]
    status = {"specHash": spec_hash, "phase": "Complete", "completedHashes": [{"hash": spec_hash}]}
    done = cli("audit", "scan", "--objects", objects, "--objects", write(make.record(status=status)))
    assert (done.code, done.out) == (0, "1 Gateway: 1 governed (1 complete)\n")
