"""``schemagate doctor`` as far as no cluster answers: what it refuses, prints and ends with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.kube.fake_api import kubeconfig
from tests.policy.migration.test_failures import SECRET, SPELLINGS
from tests.support.diagnoses import healthy, lease
from webhook.cli.doctor import told
from webhook.policy.diagnosis.diagnose import diagnose
from webhook.policy.diagnosis.line import Check, Level, Line, Unread, fail, ok, unknown, warn

WELL = ok(Check.KUBERNETES, "v1.36.3 has all that schemagate uses")
ODD = warn(Check.COVERAGE, "1 of 2 Gateways roll out unguarded", "label it")
BROKEN = fail(Check.LEADER, "no controller leads", "see why")
HIDDEN = unknown(Check.FENCES, "whether it is fenced in", Unread("list policies"))


@pytest.mark.parametrize(
    ("lines", "code"),
    [([WELL], 0), ([WELL, ODD], 0), ([WELL, HIDDEN], 2), ([HIDDEN, BROKEN, ODD], 1), ([BROKEN], 1)],
)
def test_the_exit_code_says_what_was_found(
    lines: list[Line], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(lines, "table") == code
    assert told(lines, "json") == code


def test_a_person_reads_a_line_each_and_below_it_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    told([WELL, BROKEN], "table")
    assert capsys.readouterr().out.splitlines() == [
        "LEVEL  CHECK       MESSAGE",
        "OK     Kubernetes  v1.36.3 has all that schemagate uses",
        "FAIL   Leader      no controller leads",
        "                   → see why",
    ]


def test_the_cause_of_a_failed_call_is_told_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    call = (
        "a dry run in namespace default was answered: POST /apis/apps/v1/namespaces/default/deployments: 500 "
        'Internal error occurred: failed calling webhook "deployments.validate.schemagate.io": failed to call '
        'webhook: Post "https://schemagate-webhook.schemagate.svc:443/validate-apps-v1-deployment?timeout=5s": '
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    )
    told([fail(Check.CANARY, call, "see why " * 60 + "at last")], "table")
    out = capsys.readouterr().out
    assert "x509: certificate signed by unknown authority" in out
    assert out.endswith("at last\n")


def test_a_program_reads_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = diagnose(healthy())
    told(lines, "json")
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [row["check"] for row in rows] == [check.value for check in Check]
    assert {row["level"] for row in rows} == {Level.OK.value}
    assert rows[0].keys() == {"check", "level", "message", "next"}


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_credential_is_printed(output: str, spelling: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"before {spelling.format(SECRET)} after"
    told([fail(Check.CANARY, text, text), ok(Check.OTHER_WEBHOOKS, text)], output)
    assert SECRET not in capsys.readouterr().out


def test_a_holder_that_is_hostile_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    told(diagnose(replace(healthy(), lease=lease(holder="a\n\x1b[31mFAIL Leader"))), "table")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 1 + len(Check)


def test_a_cluster_that_does_not_answer_is_one_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("doctor", "--kubeconfig", kubeconfig(tmp_path, "http://127.0.0.1:1"))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("schemagate: GET /version: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("-o", "wide"), ("surplus",)])
def test_bad_usage_is_told(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli("doctor", *arguments)
    assert (done.code, done.out) == (2, "")
