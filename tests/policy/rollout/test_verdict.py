"""The verdict: every check by itself, their order, and what mode and phase make of it."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.support.builders import (
    IMAGE,
    NEXT_IMAGE,
    NOW,
    URL,
    config_map,
    config_maps,
    container,
    deployment,
    record,
)
from tests.support.rollouts import GONE, HASH, NEXT, NEXT_HASH, OLD, completed, paused, rollout
from webhook.policy.decision import MESSAGE_LIMIT, WARNING_LIMIT, Decision, printable
from webhook.policy.inputs import MigrationInputs, short
from webhook.policy.reasons import ALLOWING, Reason
from webhook.policy.record import Phase
from webhook.policy.rollout import verdict
from webhook.policy.rollout.bypass import BypassRefusal, Requester
from webhook.policy.rollout.change import DryRun, Terms
from webhook.policy.rollout.hold import hold
from webhook.policy.rollout.verdict import CHECKS, decide

RESTARTED = deployment(spec={"template": {"metadata": {"annotations": {"restartedAt": "now"}}}})
EPHEMERAL = config_maps(config_map(data={"DISKLESS_CONFIG": "true"}))


def breaking(base: dict[str, Any], **tweak: str) -> dict[str, Any]:
    values = {"reason": "outage", "until": "2026-11-22T13:00:00Z", "hash": NEXT_HASH} | tweak
    notes = {f"schemagate.io/bypass-{name}": value for name, value in values.items()}
    return {**base, "metadata": base["metadata"] | {"annotations": notes}}


def floored(*hashes: str, **spec: str) -> dict[str, Any]:
    """A record that holds these hashes as complete, newest first, and denies rollbacks."""
    return {**completed(*hashes), "spec": {"rollback": "Deny", **spec}}


def merge_notes(base: dict[str, Any], notes: dict[str, str]) -> dict[str, Any]:
    return {**base, "metadata": base["metadata"] | {"annotations": notes}}


CONTAINER = "schemagate.io/gateway-container"
NAMED = {CONTAINER: "gateway"}
UNKNOWN = deployment(container(volumeMounts=[]))
BESIDE = deployment(
    spec={"template": {"spec": {"containers": [container(volumeMounts=[]), {"name": "side", "image": "tools:1"}]}}}
)
MAY_BYPASS = Requester(authorized=True)
VERDICTS: dict[str, tuple[dict[str, Any], str, Reason]] = {
    "another operation": ({"new": NEXT, "old": OLD, "judged": False}, "not_judged", Reason.NOT_JUDGED),
    "an object on its way out": (
        {"new": NEXT, "old": deployment(metadata={"deletionTimestamp": "2026-11-22T12:00:00Z"})},
        "not_judged",
        Reason.NOT_JUDGED,
    ),
    "never a gateway": ({"new": GONE, "old": GONE}, "not_a_gateway", Reason.NOT_A_GATEWAY),
    "a new Deployment without one": ({"new": GONE}, "not_a_gateway", Reason.NOT_A_GATEWAY),
    "a lost container nobody governs": (
        {"new": GONE, "old": OLD, "governed": False},
        "not_a_gateway",
        Reason.NOT_GOVERNED,
    ),
    "a lost container": ({"new": GONE, "old": OLD}, "not_a_gateway", Reason.GATEWAY_CONTAINER_LOST),
    "the annotation that it is known by taken off": (
        {"new": UNKNOWN, "old": merge_notes(UNKNOWN, NAMED)},
        "not_a_gateway",
        Reason.GATEWAY_CONTAINER_LOST,
    ),
    "the same where nobody governs it": (
        {"new": UNKNOWN, "old": merge_notes(UNKNOWN, NAMED), "governed": False},
        "not_a_gateway",
        Reason.NOT_GOVERNED,
    ),
    "the same without a database": (
        {"new": UNKNOWN, "old": merge_notes(UNKNOWN, NAMED), "maps": EPHEMERAL},
        "not_a_gateway",
        Reason.NO_DATABASE,
    ),
    "the annotation turned to a sidecar": (
        {"new": merge_notes(BESIDE, {CONTAINER: "side"}), "old": merge_notes(BESIDE, NAMED)},
        "not_a_gateway",
        Reason.GATEWAY_CONTAINER_LOST,
    ),
    "the license moved, and the annotation turned to a sidecar": (
        {"new": merge_notes(BESIDE, {CONTAINER: "side"}), "old": OLD},
        "not_a_gateway",
        Reason.GATEWAY_CONTAINER_LOST,
    ),
    "an annotation that only says what is known": (
        {"new": OLD, "old": merge_notes(OLD, NAMED)},
        "template_unchanged",
        Reason.TEMPLATE_UNCHANGED,
    ),
    "an annotation that names a container that is not there": (
        {"new": deployment(metadata={"annotations": {"schemagate.io/gateway-container": "no"}}), "old": OLD},
        "template_unchanged",
        Reason.TEMPLATE_UNCHANGED,
    ),
    "not governed": ({"new": NEXT, "old": OLD, "governed": False}, "not_governed", Reason.NOT_GOVERNED),
    "scaled": (
        {"new": deployment(spec={"replicas": 9}), "old": OLD},
        "template_unchanged",
        Reason.TEMPLATE_UNCHANGED,
    ),
    "paused with the same template": (
        {"new": paused(OLD), "old": OLD},
        "template_unchanged",
        Reason.TEMPLATE_UNCHANGED,
    ),
    "no database": ({"new": NEXT, "old": OLD, "maps": EPHEMERAL}, "no_database", Reason.NO_DATABASE),
    "restarted": ({"new": RESTARTED, "old": OLD}, "inputs_unchanged", Reason.INPUTS_UNCHANGED),
    "an older version": (
        {"new": deployment(container(image="gateway:11.1.00")), "old": OLD},
        "unsupported_version",
        Reason.UNSUPPORTED_GATEWAY_VERSION,
    ),
    "complete": (
        {"new": NEXT, "old": OLD, "stored": completed(NEXT_HASH, HASH)},
        "migration_complete",
        Reason.MIGRATION_COMPLETE,
    ),
    "rolled back": (
        {"new": NEXT, "old": OLD, "stored": completed(HASH, NEXT_HASH)},
        "rolled_back",
        Reason.ROLLED_BACK,
    ),
    "rolled back where that is denied": (
        {"new": NEXT, "old": OLD, "stored": floored(HASH, NEXT_HASH)},
        "rolled_back",
        Reason.ROLLBACK_REFUSED,
    ),
    "resumed and complete": (
        {"new": NEXT, "old": paused(NEXT), "stored": completed(NEXT_HASH)},
        "migration_complete",
        Reason.MIGRATION_COMPLETE,
    ),
    "paused": ({"new": paused(NEXT), "old": OLD}, "held", Reason.HELD),
    "first install by the pods": ({"new": NEXT}, "first_install", Reason.FIRST_INSTALL),
    "first install by a Job": (
        {"new": NEXT, "stored": record(spec={"firstInstall": "Migrate"})},
        "by_mode",
        Reason.MIGRATION_PENDING,
    ),
    "broken glass": ({"new": breaking(NEXT), "old": OLD, "requester": MAY_BYPASS}, "bypassed", Reason.BYPASSED),
    "another image": ({"new": NEXT, "old": OLD}, "by_mode", Reason.MIGRATION_PENDING),
    "resumed and not complete": ({"new": OLD, "old": paused(OLD)}, "by_mode", Reason.MIGRATION_PENDING),
    "a gateway container gained": ({"new": OLD, "old": GONE}, "by_mode", Reason.MIGRATION_PENDING),
    "inputs that cannot be told": (
        {"new": NEXT, "old": OLD, "maps": config_maps(config_map(data={"SSG_DATABASE_JDBC_URL": "jdbc:x"}))},
        "by_mode",
        Reason.INVALID_INPUTS,
    ),
}


@pytest.mark.parametrize(("facts", "check", "reason"), VERDICTS.values(), ids=VERDICTS.keys())
def test_the_first_check_that_speaks_decides(facts: dict[str, Any], check: str, reason: Reason) -> None:
    found = decide(rollout(**facts))
    assert (found.check, found.reason) == (check, reason)
    assert found.allowed == (reason in ALLOWING)
    assert bool(found.message) != found.allowed
    assert found.audit["reason"] == reason.value


def test_the_order_of_the_checks() -> None:
    assert [check.__name__ for check in CHECKS] == [
        "not_judged",
        "not_a_gateway",
        "not_governed",
        "template_unchanged",
        "no_database",
        "inputs_unchanged",
        "unsupported_version",
        "migration_complete",
        "rolled_back",
        "held",
        "first_install",
        "bypassed",
        "by_mode",
    ]


PHASES: dict[Phase | None, Reason] = {
    None: Reason.MIGRATION_PENDING,
    Phase.PENDING: Reason.MIGRATION_PENDING,
    Phase.WAITING: Reason.MIGRATION_PENDING,
    Phase.RUNNING: Reason.MIGRATION_RUNNING,
    Phase.COMPLETE: Reason.MIGRATION_PENDING,
    Phase.FAILED: Reason.MIGRATION_FAILED,
    Phase.SUPERSEDED: Reason.MIGRATION_PENDING,
    Phase.DISABLED: Reason.MIGRATION_PENDING,
}


def in_phase(phase: Phase | None, mode: str, spec_hash: str = NEXT_HASH) -> Decision:
    status = {"specHash": spec_hash} | ({"phase": phase.value} if phase else {})
    return decide(rollout(NEXT, OLD, stored=record(spec={"mode": mode}, status=status)))


@pytest.mark.parametrize("phase", PHASES)
def test_what_each_mode_makes_of_each_phase(phase: Phase | None) -> None:
    reject, held, warn, audit = (in_phase(phase, mode) for mode in ("Reject", "Hold", "Warn", "Audit"))
    assert (reject.allowed, reject.reason, reject.audit["decision"]) == (False, PHASES[phase], "deny")
    assert (held.allowed, held.reason, held.audit["decision"]) == (False, Reason.HOLD_NOT_APPLIED, "deny")
    assert (warn.allowed, warn.reason, warn.audit["decision"]) == (True, PHASES[phase], "would-deny")
    assert (audit.allowed, audit.reason, audit.audit["decision"]) == (True, PHASES[phase], "would-deny")
    assert warn.warnings[0].startswith("schemagate: rollout of deployment team-a/ssg")
    assert (len(warn.warnings), audit.warnings, audit.message, warn.message) == (1, (), "", "")


def test_a_phase_of_other_inputs_is_not_theirs() -> None:
    assert in_phase(Phase.FAILED, "Reject", HASH).reason is Reason.MIGRATION_PENDING


@pytest.mark.parametrize(
    ("mode", "allowed"), [("Reject", False), ("Hold", False), ("Warn", True), ("Audit", True)]
)
def test_a_lost_container_goes_by_the_mode(mode: str, allowed: bool) -> None:
    found = decide(rollout(GONE, OLD, stored=record(spec={"mode": mode})))
    assert (found.allowed, found.reason) == (allowed, Reason.GATEWAY_CONTAINER_LOST)


def test_what_is_allowed_against_the_rule_is_warned_of() -> None:
    warned = {name: decide(rollout(**facts)).warnings for name, (facts, _, _) in VERDICTS.items()}
    assert {name: text for name, text in warned.items() if text} == {
        "an older version": (
            "schemagate: Gateway 11.1.0 is older than 11.2.2 and migrates its database at start, unguarded",
        ),
        "rolled back": (
            f"schemagate: rolled back to {short(NEXT_HASH)}; the schema is at {short(HASH)}, ahead of it",
        ),
        "broken glass": (f"schemagate: gate bypassed for {short(NEXT_HASH)}: outage",),
    }


def test_an_ignored_override_is_warned_of_whatever_the_verdict() -> None:
    files = config_maps(config_map(data={"DISKLESS_CONFIG": "false"}))
    for mode in ("Reject", "Warn"):
        stored = record(spec={"jdbcUrl": URL, "mode": mode})
        found = decide(rollout(NEXT, OLD, stored=stored, maps=files))
        assert found.warnings[-1].startswith("schemagate: jdbcUrl of the record is ignored")


REFUSED = {
    "no reason": (
        {"reason": " "},
        MAY_BYPASS,
        BypassRefusal.NO_REASON,
        "schemagate.io/bypass-reason is empty",
    ),
    "the hash of what runs": (
        {"hash": HASH},
        MAY_BYPASS,
        BypassRefusal.OTHER_HASH,
        f"schemagate.io/bypass-hash must be {NEXT_HASH[:16]}",
    ),
    "too late": (
        {"until": "2026-11-22T11:00:00Z"},
        MAY_BYPASS,
        BypassRefusal.EXPIRED,
        "schemagate.io/bypass-until has passed",
    ),
    "no right": (
        {},
        Requester(),
        BypassRefusal.NOT_AUTHORIZED,
        "the user does not hold the verb bypass on gatewaymigrations",
    ),
    "a service account": (
        {},
        Requester(authorized=True, person=False),
        BypassRefusal.SERVICE_ACCOUNT,
        "it takes a person, and the user is a service account",
    ),
    "a dry run": (
        {},
        Requester(authorized=True, dry_run=True),
        BypassRefusal.DRY_RUN,
        "a dry run leaves no record of it",
    ),
}


@pytest.mark.parametrize(("tweak", "requester", "why", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_bypass_is_told_with_the_denial(
    tweak: dict[str, str], requester: Requester, why: BypassRefusal, words: str
) -> None:
    found = decide(rollout(breaking(NEXT, **tweak), OLD, requester=requester))
    assert found.reason is Reason.MIGRATION_PENDING
    assert found.message.endswith(f"; bypass not honoured: {words}")
    assert found.audit["bypass"] == f"refused-{why.value}"


def test_an_honoured_bypass_is_told_to_the_audit() -> None:
    found = decide(rollout(breaking(NEXT), OLD, requester=MAY_BYPASS))
    assert (found.audit["decision"], found.audit["bypass"]) == ("warn", "honoured")
    assert "bypass" not in decide(rollout(NEXT, OLD)).audit


def test_how_far_ahead_a_bypass_may_end_is_a_setting() -> None:
    terms = Terms(bypass_longest=timedelta(minutes=30))
    found = decide(rollout(breaking(NEXT), OLD, requester=MAY_BYPASS, terms=terms))
    assert found.message.endswith("schemagate.io/bypass-until is more than 1800 s ahead")


@pytest.mark.parametrize("mode", ["Reject", "Hold", "Warn", "Audit"])
def test_break_glass_is_honoured_in_every_mode_and_pauses_nothing(mode: str) -> None:
    facts = rollout(breaking(NEXT), OLD, stored=record(spec={"mode": mode}), requester=MAY_BYPASS)
    found = decide(facts)
    assert (found.allowed, found.reason) == (True, Reason.BYPASSED)
    assert hold(facts, found).patch == ()


def test_the_reason_for_refusal_is_not_cut_off() -> None:
    new = breaking(deployment(container(image="r/" + "x" * 1020)), reason="")
    found = decide(rollout(new, OLD))
    assert len(found.message) == MESSAGE_LIMIT
    assert found.message.endswith("bypass not honoured: schemagate.io/bypass-reason is empty")


def test_without_a_clock_no_bypass_is_honoured() -> None:
    facts = rollout(breaking(NEXT), OLD, requester=MAY_BYPASS)
    found = decide(msgspec.structs.replace(facts, now=None))
    assert (found.allowed, found.reason) == (False, Reason.MIGRATION_PENDING)
    assert decide(msgspec.structs.replace(facts, now=NOW)).allowed


def test_a_bad_annotation_blocks_even_what_is_complete() -> None:
    notes = {"schemagate.io/migration-job": "enabled", "schemagate.io/clear-locks": "maybe"}
    old, new = (merge_notes(base, notes) for base in (OLD, NEXT))
    found = decide(rollout(new, old, governed=False))
    assert (found.allowed, found.reason) == (False, Reason.INVALID_INPUTS)
    assert "Deployment settings: spec.clearLocks" in found.message


DRY_RUN = Requester(dry_run=True)
LENIENT = Terms(dry_run=DryRun.WARN)


@pytest.mark.parametrize(
    ("facts", "requester"),
    [(NEXT, DRY_RUN), (GONE, DRY_RUN), (breaking(NEXT), DRY_RUN)],
    ids=["another image", "a lost container", "with a bypass"],
)
def test_a_dry_run_may_be_warned_instead_of_denied(facts: dict[str, Any], requester: Requester) -> None:
    denied = decide(rollout(facts, OLD, requester=requester))
    warned = decide(rollout(facts, OLD, requester=requester, terms=LENIENT))
    assert (denied.allowed, warned.allowed, warned.message) == (False, True, "")
    assert (warned.reason, warned.check) == (denied.reason, denied.check)
    assert warned.warnings[0] == printable(f"schemagate: {denied.message}", WARNING_LIMIT)
    assert warned.audit == {**denied.audit, "decision": "would-deny"}


def test_what_is_no_dry_run_is_denied_whatever_becomes_of_dry_runs() -> None:
    assert not decide(rollout(NEXT, OLD, terms=LENIENT)).allowed


def test_a_dry_run_is_paused_as_the_real_one_would_be() -> None:
    stored = record(spec={"mode": "Hold"})
    real = rollout(NEXT, OLD, stored=stored)
    for terms in (LENIENT, Terms()):
        dry = rollout(NEXT, OLD, stored=stored, requester=DRY_RUN, terms=terms)
        assert hold(dry, decide(dry)).patch == hold(real, decide(real)).patch != ()


def test_the_denial_of_a_rollback_says_what_is_ahead_and_how_to_allow_it() -> None:
    stored = {
        **record(spec={"rollback": "Deny"}),
        "status": {"completedHashes": [{"hash": HASH, "image": IMAGE}, {"hash": NEXT_HASH, "image": NEXT_IMAGE}]},
    }
    assert decide(rollout(NEXT, OLD, stored=stored)).message == (
        f"rollout of deployment team-a/ssg to {NEXT_IMAGE} is blocked: the schema is at {short(HASH)} ({IMAGE}), "
        f"ahead of {short(NEXT_HASH)}, and the record denies rollbacks; roll forward, or allow them: "
        """kubectl patch gwm ssg -n team-a --type merge -p '{"spec":{"rollback":"Allow"}}'"""
    )


HELD_LATER = paused(deployment(container(image="gateway:12")), **{"schemagate.io/held": "0" * 16})
FLOOR: dict[str, tuple[dict[str, Any], dict[str, Any] | None, Reason]] = {
    "a new Deployment of the older image": (NEXT, None, Reason.ROLLBACK_REFUSED),
    "paused, to be resumed later": (paused(NEXT), OLD, Reason.ROLLBACK_REFUSED),
    "a resume of what was there": (NEXT, paused(NEXT), Reason.ROLLED_BACK),
    "the newest": (OLD, NEXT, Reason.MIGRATION_COMPLETE),
    "a restart of what runs": (NEXT, NEXT, Reason.TEMPLATE_UNCHANGED),
    "a held rollout taken back to what may run": (NEXT, HELD_LATER, Reason.ROLLBACK_REFUSED),
    "break-glass": (breaking(NEXT), OLD, Reason.BYPASSED),
}


@pytest.mark.parametrize(("new", "old", "reason"), FLOOR.values(), ids=FLOOR.keys())
def test_the_floor_is_where_the_newest_migration_left_the_schema(
    new: dict[str, Any], old: dict[str, Any] | None, reason: Reason
) -> None:
    found = decide(rollout(new, old, stored=floored(HASH, NEXT_HASH), requester=MAY_BYPASS))
    assert found.reason is reason


@pytest.mark.parametrize(
    ("mode", "allowed"), [("Reject", False), ("Hold", False), ("Warn", True), ("Audit", True)]
)
def test_a_refused_rollback_goes_by_the_mode_and_is_never_held(mode: str, allowed: bool) -> None:
    facts = rollout(NEXT, OLD, stored=floored(HASH, NEXT_HASH, mode=mode))
    found = decide(facts)
    assert (found.allowed, found.reason) == (allowed, Reason.ROLLBACK_REFUSED)
    assert hold(facts, found).patch == ()


AHEAD: dict[str, tuple[dict[str, str], dict[str, str], Reason]] = {
    "another image later": ({"image": "gateway:12"}, {"image": NEXT_IMAGE}, Reason.ROLLED_BACK),
    "the same image with other settings later": (
        {"image": NEXT_IMAGE},
        {"image": NEXT_IMAGE},
        Reason.MIGRATION_COMPLETE,
    ),
    "another database later": (
        {"image": "gateway:12", "database": "other:3306/ssg"},
        {"image": NEXT_IMAGE, "database": "mysql-primary:3306/ssg"},
        Reason.MIGRATION_COMPLETE,
    ),
}


@pytest.mark.parametrize(("newer", "older", "reason"), AHEAD.values(), ids=AHEAD.keys())
def test_only_a_later_image_on_the_same_database_puts_the_schema_ahead(
    newer: dict[str, str], older: dict[str, str], reason: Reason
) -> None:
    done = [{"hash": "0" * 64, **newer}, {"hash": NEXT_HASH, **older}]
    found = decide(rollout(NEXT, OLD, stored=record(status={"completedHashes": done})))
    assert (found.allowed, found.reason) == (True, reason)


def migrated(*images: str, **inputs: Any) -> list[dict[str, str]]:
    """Completions of these images on the usual database, newest first."""
    return [
        {
            "hash": MigrationInputs(image, URL, **inputs).spec_hash,
            "image": image,
            "database": "mysql-primary:3306/ssg",
        }
        for image in images
    ]


BACK: dict[str, tuple[dict[str, Any], list[dict[str, str]], Reason]] = {
    "while the lock is to be cleared": ({"clearLocks": True}, migrated(NEXT_IMAGE, IMAGE), Reason.ROLLED_BACK),
    "with a deadline raised since": (
        {"activeDeadlineSeconds": 900},
        migrated(NEXT_IMAGE, IMAGE),
        Reason.ROLLED_BACK,
    ),
    "with both": (
        {"activeDeadlineSeconds": 900, "clearLocks": True},
        migrated(NEXT_IMAGE, IMAGE),
        Reason.ROLLED_BACK,
    ),
    "whose own lock was cleared": (
        {},
        [*migrated(NEXT_IMAGE), *migrated(IMAGE, clear_locks=True)],
        Reason.ROLLED_BACK,
    ),
    "where that is denied": (
        {"clearLocks": True, "rollback": "Deny"},
        migrated(NEXT_IMAGE, IMAGE),
        Reason.ROLLBACK_REFUSED,
    ),
    "a lock to be cleared for the newest": ({"clearLocks": True}, migrated(IMAGE), Reason.MIGRATION_PENDING),
    "another image of that place": ({"clearLocks": True}, migrated(NEXT_IMAGE), Reason.MIGRATION_PENDING),
    "a server of that name elsewhere": (
        {"clearLocks": True},
        [*migrated(NEXT_IMAGE), *migrated(IMAGE, network='{"hostNetwork":true}')],
        Reason.MIGRATION_PENDING,
    ),
    "a database that is not known": (
        {"clearLocks": True},
        [{**item, "database": ""} for item in migrated(NEXT_IMAGE, IMAGE)],
        Reason.MIGRATION_PENDING,
    ),
    "further migrations of the image after it": (
        {"clearLocks": True},
        [*migrated(IMAGE, network='{"hostNetwork":true}'), *migrated(NEXT_IMAGE, IMAGE)],
        Reason.MIGRATION_COMPLETE,
    ),
}


@pytest.mark.parametrize(("spec", "done", "reason"), BACK.values(), ids=BACK.keys())
def test_how_the_next_job_is_to_run_does_not_bar_the_way_back(
    spec: dict[str, Any], done: list[dict[str, str]], reason: Reason
) -> None:
    stored = record(spec=spec, status={"completedHashes": done})
    assert decide(rollout(OLD, NEXT, stored=stored)).reason is reason


def test_every_check_is_total_by_itself_where_it_may_stand_first() -> None:
    facts = rollout(NEXT, OLD)
    said = [check(facts) for check in CHECKS]
    assert [item.reason for item in said if item] == [Reason.MIGRATION_PENDING]
    with pytest.raises(AssertionError, match="checked before"):
        verdict.by_mode(rollout(NEXT, OLD, governed=False))


def test_audit_holds_closed_words_and_the_hash_only() -> None:
    assert decide(rollout(NEXT, OLD)).audit == {
        "decision": "deny",
        "reason": "MigrationPending",
        "mode": "Reject",
        "migration-hash": short(NEXT_HASH),
    }
    assert decide(rollout(NEXT, OLD, governed=False)).audit == {"decision": "allow", "reason": "NotGoverned"}


def test_a_change_of_a_refused_url_is_a_change() -> None:
    def with_url(url: str) -> dict[str, Any]:
        return deployment(container(env=[{"name": "SSG_DATABASE_JDBC_URL", "value": url}]))

    one, other = with_url("jdbc:mysql+srv://a/db"), with_url("jdbc:mysql+srv://b/db")
    assert decide(rollout(other, one)).reason is Reason.INVALID_INPUTS
    restarted = {**one, "spec": one["spec"] | {"template": one["spec"]["template"] | {"metadata": {}}}}
    assert decide(rollout(restarted, one)).reason is Reason.INPUTS_UNCHANGED


def test_hold_mode_never_denies_where_the_template_may_wait() -> None:
    found = rollout(NEXT, OLD, stored=record(spec={"mode": "Hold"}))
    assert hold(found, decide(found)).allowed


def test_complete_inputs_with_a_problem_are_still_told() -> None:
    """Bad settings fall back to defaults, whose hash may well be complete."""
    facts = rollout(NEXT, OLD, stored=completed(NEXT_HASH))
    assert facts.governance is not None
    bad = msgspec.structs.replace(facts.governance, problem="Deployment settings: clear-locks")
    decision = decide(msgspec.structs.replace(facts, governance=bad))
    assert (decision.allowed, decision.reason) == (False, Reason.INVALID_INPUTS)


def test_a_lost_container_without_a_database_is_no_loss() -> None:
    ephemeral = config_maps(config_map(data={"DISKLESS_CONFIG": "true"}))
    decision = decide(rollout(GONE, OLD, maps=ephemeral))
    assert (decision.allowed, decision.reason) == (True, Reason.NO_DATABASE)


def test_a_restart_onto_another_database_passes_with_a_warning() -> None:
    done = {"hash": "0" * 64, "image": IMAGE, "database": "old:3306/ssg"}
    stored = record(status={"completedHashes": [done]})
    restarted = deployment(spec={"template": {"metadata": {"annotations": {"restartedAt": "now"}}}})
    decision = decide(rollout(restarted, OLD, stored=stored))
    assert (decision.allowed, decision.reason) == (True, Reason.INPUTS_UNCHANGED)
    assert "the database is now mysql-primary:3306/ssg" in decision.warnings[0]
    same = record(status={"completedHashes": [{**done, "database": "mysql-primary:3306/ssg"}]})
    assert decide(rollout(restarted, OLD, stored=same)).warnings == ()
