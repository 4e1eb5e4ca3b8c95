"""``migrate``, ``retry`` and ``status`` as far as no cluster answers: what they refuse, decide and print."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from tests.cli.conftest import Cli
from tests.support import builders as make
from tests.support.builders import IMAGE, NEXT_IMAGE, NOW
from webhook.cli.announcement import Scene, announcement
from webhook.cli.layout import duration, full, image_tag, listing
from webhook.cli.progress import Progress, fresh_lines
from webhook.cli.retry import refuse
from webhook.cli.standing import row
from webhook.cli.waiting import Goal, ending, wait_for
from webhook.errors import NotFoundError, RefusedError, SchemagateError, UnreachableError
from webhook.policy.gateway_resource import Gateway
from webhook.policy.names import ENFORCE, HELD
from webhook.policy.objects import Deployment, Namespace, view
from webhook.policy.record import Phase, Record

HASH = "a" * 64
OTHER = "docker.io/caapim/gateway:11.4.0"
SECRET = "hunter2"


def stored(generation: int = 1, spec: dict[str, Any] | None = None, **status: Any) -> Record:
    return Record.from_manifest(
        make.record(
            metadata={"generation": generation, "uid": "u-1"},
            spec=spec or {},
            status={"observedGeneration": generation, "specHash": HASH, **status} if status else {},
        )
    )


FAILED = stored(
    phase="Failed",
    image=NEXT_IMAGE,
    job={"name": "ssg-db-migration-aaaaaaaa", "uid": "j-1", "hash": HASH, "attempts": 2},
    failure={"class": "LockHeld", "message": "held by pod-1", "logTail": f"one\npassword={SECRET}"},
)
COMPLETE = stored(
    phase="Complete",
    image=NEXT_IMAGE,
    complete=True,
    completedHashes=[{"hash": HASH, "image": NEXT_IMAGE, "evidence": "Job", "time": NOW}],
    conditions=[
        {
            "type": "Ready",
            "status": "True",
            "reason": "MigrationComplete",
            "message": "it is Complete",
            "lastTransitionTime": NOW,
        }
    ],
    rejections={
        "count": 3,
        "newest": [{"reason": "MigrationPending", "user": "helm", "fromImage": IMAGE, "toImage": NEXT_IMAGE}],
    },
)


# Usage.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("migrate", "ssg"), "Missing option '--image'"),
        (("migrate", "--image", "x"), "Missing argument 'NAME'"),
        (("migrate", "ssg", "--image", ""), "expected the image"),
        (("migrate", "ssg", "--image", "a b"), "expected the image"),
        (("migrate", "..", "--image", "x"), "expected the name of an object"),
        (("migrate", "ssg", "--image", "x", "--timeout", "5"), "--timeout says how long to --wait"),
        (("migrate", "ssg", "--image", "x", "--wait", "--timeout", "0"), "--timeout"),
        (("retry", "Ssg"), "expected the name of an object"),
        (("retry", "ssg", "-n", "a/b"), "expected the name of an object"),
        (("retry", "ssg", "--timeout", "5"), "--timeout says how long to --wait"),
        (("status", ""), "expected the name of an object"),
        (("status", "ssg", "-A"), "give no NAME and no -n"),
        (("status", "-A", "-n", "team-a"), "give no NAME and no -n"),
    ],
)
def test_bad_usage_is_told(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


COMMANDS = [("migrate", "ssg", "--image", "x"), ("retry", "ssg"), ("status",), ("status", "ssg"), ("status", "-A")]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_cluster_that_does_not_answer_is_one_line(cli: Cli, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    kubeconfig = tmp_path / "config"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": SECRET}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
    for flags, said in (
        (("--kubeconfig", kubeconfig), "schemagate: GET /apis/"),
        (("--kubeconfig", kubeconfig, "--context", "d"), "schemagate: "),
        (("--kubeconfig", tmp_path / "none"), "schemagate: there is no kubeconfig at "),
    ):
        done = cli(*arguments, *flags)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith(said)
        assert SECRET not in done.err


# What announces an image.


def scene(**objects: Any) -> Scene:
    found = {"deployment": view(Deployment, make.deployment()), **objects}
    return Scene("team-a", "ssg", **found)


def gateway(image: str = IMAGE) -> Gateway:
    return view(Gateway, make.gateway(spec={"app": {"image": image}}))


def test_a_stored_record_is_told_the_image() -> None:
    record = stored()
    step = announcement(scene(record=record), NEXT_IMAGE)
    assert (step.announce, step.create) == (record, None)


def test_a_record_that_announces_it_is_left_alone() -> None:
    step = announcement(scene(record=stored(spec={"image": NEXT_IMAGE})), NEXT_IMAGE)
    assert (step.announce, step.create) == (None, None)


def test_without_a_record_one_of_the_users_own_is_made() -> None:
    made = announcement(scene(), NEXT_IMAGE).create
    assert made is not None
    assert (made.namespace, made.name, made.managed, made.spec.image) == ("team-a", "ssg", False, NEXT_IMAGE)


@pytest.mark.parametrize(
    "asks", [{"gateway": gateway()}, {"asks": view(Namespace, make.namespace(**{ENFORCE: "hold"}))}]
)
def test_where_something_asks_for_a_record_it_is_made_as_the_controller_would(asks: dict[str, Any]) -> None:
    made = announcement(scene(**asks), NEXT_IMAGE).create
    assert made is not None
    assert (made.managed, made.spec.image) == (True, NEXT_IMAGE)


def test_what_a_gateway_resource_names_already_is_not_announced_beside_it() -> None:
    made = announcement(scene(gateway=gateway(NEXT_IMAGE)), NEXT_IMAGE).create
    assert made is not None
    assert (made.managed, made.spec.image) == (True, "")
    step = announcement(scene(gateway=gateway(NEXT_IMAGE), record=stored()), NEXT_IMAGE)
    assert (step.announce, step.create) == (None, None)


HELD_DEPLOYMENT = view(
    Deployment, make.deployment(metadata={"annotations": {HELD: "x"}}, spec={"paused": True, "replicas": 1})
)


@pytest.mark.parametrize(
    ("objects", "kind", "said"),
    [
        ({"deployment": None}, NotFoundError, "there is no Deployment team-a/ssg"),
        (
            {"deployment": view(Deployment, make.deployment(make.container(volumeMounts=[])))},
            RefusedError,
            "has no Gateway container",
        ),
        ({"record": stored(spec={"enabled": False})}, RefusedError, """-p '{"spec":{"enabled":true}}'"""),
        (
            {"gateway": gateway(OTHER)},
            RefusedError,
            "announce it there: kubectl patch gateways.security.brcmlabs.com ssg -n team-a --type merge -p "
            f"""'{{"spec":{{"app":{{"image":"{NEXT_IMAGE}"}}}}}}'""",
        ),
        (
            {"deployment": None, "gateway": gateway(OTHER)},
            RefusedError,
            "kubectl patch gateways.security.brcmlabs.com ssg",
        ),
        (
            {
                "deployment": None,
                "gateway": gateway(NEXT_IMAGE),
                "record": stored(spec={"firstInstall": "Gateway"}),
            },
            RefusedError,
            "its first pods migrate by themselves",
        ),
        ({"deployment": HELD_DEPLOYMENT}, RefusedError, f"is held for {IMAGE}"),
    ],
)
def test_where_an_announcement_leads_nowhere_it_is_refused_with_what_does(
    objects: dict[str, Any], kind: type[SchemagateError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        announcement(scene(**objects), NEXT_IMAGE)
    assert said in str(caught.value)


def test_a_held_deployment_is_waited_for() -> None:
    step = announcement(scene(deployment=HELD_DEPLOYMENT, record=stored()), IMAGE)
    assert (step.announce, step.create) == (None, None)


def test_the_next_step_of_each_phase_leads_on_from_there() -> None:
    def following(phase: str) -> str:
        return str(row(stored(phase=phase, image=IMAGE))["next"])

    assert following("Running") == f"wait for it: schemagate migrate ssg -n team-a --image {IMAGE} --wait"
    # What is wanted is another image than the one that the record still names.
    assert IMAGE not in following("Superseded")
    assert following("Superseded").endswith("then see: schemagate status ssg -n team-a")


# When a wait ends.

GOAL = Goal("team-a", "ssg", NEXT_IMAGE, generation=1)


@pytest.mark.parametrize(
    ("record", "waited", "code"),
    [
        (COMPLETE, 0, 0),
        (FAILED, 0, 1),
        (stored(), 99, None),
        (stored(phase="Running", image=NEXT_IMAGE), 99, None),
        (stored(phase="Superseded", image=OTHER), 99, None),
        (stored(phase="Complete", image=OTHER, complete=True), 1, None),
        (stored(phase="Complete", image=OTHER, complete=True), 20, 1),
        (stored(phase="Disabled"), 1, None),
        (stored(phase="Disabled"), 20, 0),
    ],
)
def test_a_wait_ends_with_what_is_about_its_image(record: Record, waited: float, code: int | None) -> None:
    found = ending(record, GOAL, waited)
    assert (found.code if found else None) == code


def test_a_status_of_an_older_generation_says_nothing() -> None:
    later = Goal("team-a", "ssg", NEXT_IMAGE, generation=2)
    assert ending(COMPLETE, later, 99) is None
    assert ending(FAILED, later, 99) is None


def test_a_retry_waits_for_the_next_attempt() -> None:
    again = Goal("team-a", "ssg", NEXT_IMAGE, generation=1, attempts=2)
    assert ending(FAILED, again, 99) is None
    assert ending(COMPLETE, again, 0) is not None
    unmended = stored(phase="Failed", image=NEXT_IMAGE, failure={"class": "InvalidInputs", "message": "x"})
    assert ending(unmended, again, 0) is not None


def test_a_failure_ends_with_class_log_and_next_step_and_no_credentials() -> None:
    found = ending(FAILED, GOAL, 0)
    assert found is not None
    assert found.text.splitlines() == [
        f"team-a/ssg: migration {'a' * 16} for {NEXT_IMAGE} failed",
        "LockHeld: held by pod-1",
        "  | one",
        "  | password=***",
        "next: mend that, then run: schemagate retry ssg -n team-a",
    ]


class Played:
    """A cluster that answers what it is told to, the last answer for ever."""

    def __init__(self, *answers: Record | Exception | None) -> None:
        self.answers = list(answers)

    async def live_record(self, namespace: str, name: str) -> Record | None:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def log_tail(self, record: Record) -> list[str]:
        return ["line of the log"]


async def test_a_wait_outlives_lost_connections(capsys: pytest.CaptureFixture[str]) -> None:
    running = stored(phase="Running", image=NEXT_IMAGE)
    assert await wait_for(Played(UnreachableError("gone"), running, COMPLETE), GOAL, timeout=60) == 0
    captured = capsys.readouterr()
    assert "is complete; a rollout passes now" in captured.out
    assert "the API server cannot be reached, trying on: gone" in captured.err
    assert "        | line of the log" in captured.err


async def test_a_wait_ends_in_time_and_says_that_the_migration_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert await wait_for(Played(stored(phase="Running", image=NEXT_IMAGE)), GOAL, timeout=1) == 1
    out = capsys.readouterr().out
    assert "not complete within 1 s" in out
    assert "the migration goes on. Look after it: schemagate status ssg -n team-a" in out


async def test_a_record_that_is_deleted_meanwhile_ends_the_wait() -> None:
    with pytest.raises(NotFoundError, match="was deleted"):
        await wait_for(Played(None), GOAL, timeout=60)


async def test_who_interrupts_a_wait_is_told_that_the_migration_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = asyncio.create_task(wait_for(Played(stored(phase="Running", image=NEXT_IMAGE)), GOAL, timeout=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "interrupted; the migration goes on" in capsys.readouterr().err


# What is told meanwhile.


def test_on_a_terminal_it_is_one_line_that_fits() -> None:
    written: list[str] = []
    progress = Progress(terminal=True, write=written.append, columns=20)
    progress.tell(3, "x" * 50, ["log"])
    progress.close()
    assert written == ["\r\x1b[K" + f"   3 s  {'x' * 10}…", "\r\x1b[K"]


def test_elsewhere_it_is_a_line_for_what_changes_and_one_now_and_then() -> None:
    written: list[str] = []
    progress = Progress(terminal=False, write=written.append)
    for waited, text, log in ((0, "a", []), (1, "a", ["1", "2"]), (2, "b", ["2", "3"]), (33, "b", ["2", "3"])):
        progress.tell(waited, text, log)
    lines = ["   0 s  a", "        | 1", "        | 2", "   2 s  b", "        | 3", "  33 s  b"]
    assert "".join(written).splitlines() == lines


@pytest.mark.parametrize(
    ("before", "now", "fresh"), [("", "ab", "ab"), ("ab", "ab", ""), ("abc", "bcd", "d"), ("ab", "cd", "cd")]
)
def test_lines_of_a_log_are_told_once(before: str, now: str, fresh: str) -> None:
    assert list(fresh_lines(list(before), list(now))) == list(fresh)


# What is refused a retry.


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (COMPLETE, "nothing failed that could be tried again; it is Complete"),
        (stored(), "it is not known yet"),
        (
            stored(phase="Failed", failure={"class": "InvalidInputs", "message": "no map"}),
            "(InvalidInputs: no map); mend that",
        ),
        (stored(phase="Failed", failure={"class": "LockHeld"}), "kubectl delete job ssg-db-migration -n team-a"),
    ],
)
def test_a_retry_that_would_change_nothing_is_refused(record: Record, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        refuse(record)
    assert said in str(caught.value)


def test_a_failure_of_our_job_may_be_tried_again() -> None:
    refuse(FAILED)


# How it stands.


def test_a_line_tells_phase_hash_tag_and_how_often_it_was_turned_away() -> None:
    head, line = listing([row(COMPLETE)], NOW + timedelta(minutes=5)).splitlines()
    assert head.split() == [
        "NAMESPACE",
        "NAME",
        "PHASE",
        "COMPLETE",
        "IMAGE",
        "MODE",
        "REJECTED",
        "SINCE",
        "MESSAGE",
    ]
    assert line.split() == [
        "team-a",
        "ssg",
        "Complete",
        "a" * 16,
        "11.3.0",
        "-",
        "3",
        "5m",
        "it",
        "is",
        "Complete",
    ]


def test_keys_stay() -> None:
    for record in (COMPLETE, FAILED, stored()):
        found = json.loads(msgspec.json.encode(row(record)))
        assert set(found) == {
            "namespace", "name", "phase", "complete", "hash", "image", "jdbcUrl", "clearLocks", "announced",
            "activeDeadlineSeconds", "enabled", "mode", "runner", "managed", "evidence", "since", "message",
            "next", "job", "failure", "completed", "conditions", "rejected", "rejections",
        }  # fmt: skip
        assert SECRET not in json.dumps(found)


def test_one_record_is_shown_whole() -> None:
    text = full(row(COMPLETE), NOW)
    for part in (
        "nothing; a rollout passes",
        "EVIDENCE",
        "CONDITION",
        "MigrationPending",
        "11.2.2 → 11.3.0",
        HASH,
    ):
        assert part in text
    failed = full(row(FAILED), NOW)
    for part in (
        "failed: LockHeld: held by pod-1",
        "  | password=***",
        "schemagate retry ssg -n team-a",
        "attempt 2",
    ):
        assert part in failed


def test_every_phase_has_a_next_step() -> None:
    for phase in Phase:
        assert row(stored(phase=phase.value, image=NEXT_IMAGE))["next"]
    waiting = row(stored(phase="Waiting", image=NEXT_IMAGE))["next"]
    assert waiting == f"wait for it: schemagate migrate ssg -n team-a --image {NEXT_IMAGE} --wait"
    assert "controller" in row(stored())["next"]


def test_a_users_own_url_is_not_shown() -> None:
    record = stored(spec={"jdbcUrl": f"jdbc:mysql://root:{SECRET}@db/ssg"}, phase="Running", image=NEXT_IMAGE)
    assert SECRET not in full(row(record), NOW) + json.dumps(row(record), default=str)


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("docker.io/caapim/gateway:11.3.0", "11.3.0"),
        ("registry:5000/gateway", "gateway"),
        ("r/gateway:1@sha256:0123456789abcdef0123", "1"),
        ("r/gateway@sha256:0123456789abcdef0123", "sha256:0123456789ab"),
        ("", ""),
    ],
)
def test_an_image_is_told_by_its_tag(image: str, tag: str) -> None:
    assert image_tag(image) == tag


@pytest.mark.parametrize(
    ("seconds", "told"), [(-5, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (86400, "24h"), (172800, "2d")]
)
def test_times_are_told_in_one_unit(seconds: int, told: str) -> None:
    assert duration(NOW - timedelta(seconds=seconds), NOW) == told
