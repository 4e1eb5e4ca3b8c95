"""The chapters of the demo. Each step says what happens, shows what the webhooks answered, and checks it."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import click
import msgspec

from webhook.audit.rejections.rows import audit_rows
from webhook.cli.output import table
from webhook.embedded.apiserver import EmbeddedApiServer, Outcome
from webhook.embedded.jobs import LOCKED, SUCCESS, Ending
from webhook.embedded.operator import migration_job
from webhook.errors import SchemagateError
from webhook.policy.inputs import short
from webhook.policy.migration.external import external_name
from webhook.policy.names import MIGRATED
from webhook.policy.record import Evidence, Phase, Record
from webhook.runtime.embedded import EmbeddedGate

OPERATOR = "system:serviceaccount:layer7-operator-system:layer7-operator"
HELM, KUBECTL = "helm", "kubectl"
OLD, NEW, BAD = (f"docker.io/caapim/gateway:{tag}" for tag in ("11.2.5", "11.3.0", "11.4.0"))
Manifest = dict[str, Any]
Chapter = Callable[["Story"], Awaitable[None]]


class Story:
    """Tells steps and counts those that came out otherwise."""

    def __init__(self, gate: EmbeddedGate, api: EmbeddedApiServer) -> None:
        self.gate = gate
        self.api = api
        self._steps = 0
        self._wrong = 0

    @property
    def exit_code(self) -> int:
        """0 when all came out as told, else 1."""
        return 1 if self._wrong else 0

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        click.echo(f"\n{click.style(title, bold=True)}")

    def step(self, text: str, *, holds: bool, shown: str = "") -> None:
        """Tell a step and whether it came out so; ``shown`` is what the webhook or record said."""
        self._steps += 1
        self._wrong += not holds
        mark = click.style("ok   ", fg="green") if holds else click.style("WRONG", fg="red")
        click.echo(f"  {mark} {text}")
        for line in shown.splitlines():
            click.echo(f"        {line}")

    async def tell(self, chapter: "Chapter") -> None:
        """Tell a chapter; one that cannot go on is a step that came out otherwise."""
        try:
            await chapter(self)
        except (LookupError, RuntimeError, SchemagateError) as error:
            self.step("the chapter cannot go on", holds=False, shown=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Sum up."""
        told = f"{self._steps - self._wrong} of {self._steps} steps came out as told"
        click.echo(f"\n{click.style(told, bold=True, fg='red' if self._wrong else 'green')}")

    # What the actors do.

    def deployment(self, namespace: str, name: str, image: str) -> Manifest:
        """Give the stored Deployment with another Gateway image."""
        found = copy.deepcopy(self.gate.cluster.get("Deployment", namespace, name) or {})
        for container in found["spec"]["template"]["spec"]["containers"]:
            if "gateway" in container["image"]:
                container["image"] = image
        return found

    async def upgrade(self, where: tuple[str, str], image: str, user: str) -> Outcome:
        """Write the Deployment with another image, and let the controller see what was stored and refused."""
        outcome = await self.api.write(self.deployment(*where, image), user=user)
        await self.gate.ledger.flush(self.gate.keep)
        await self.gate.settle()
        return outcome

    async def announce(self, where: tuple[str, str], image: str) -> Record:
        """Write the wanted image into the stored intent: the Gateway if there is one, else the record."""
        cluster = self.gate.cluster
        gateway = cluster.get("Gateway", *where)
        if gateway is not None:
            gateway["spec"]["app"]["image"] = image
            cluster.put(gateway)
        else:
            record = cluster.get("GatewayMigration", *where) or {}
            record.setdefault("spec", {})["image"] = image
            cluster.put(record)
        await self.gate.settle()
        return self.record(where)

    async def operators_job(self, where: tuple[str, str]) -> Record:
        """Have the operator make a migration Job of its own for what the Gateway asks for."""
        cluster = self.gate.cluster
        gateway, deployment = cluster.get("Gateway", *where), cluster.get("Deployment", *where)
        if gateway is None or deployment is None:
            raise LookupError(f"no Gateway with a Deployment {where}")
        cluster.put(migration_job(gateway, deployment))
        await self.gate.settle()
        return self.record(where)

    async def finish(self, where: tuple[str, str], ending: Ending) -> Record:
        """End the migration Job of ours."""
        job = self.record(where).status.job
        return await self.end(where, job.name if job else "", ending)

    async def end(self, where: tuple[str, str], job: str, ending: Ending) -> Record:
        """End a Job by its name."""
        self.gate.runner.finish(where[0], job, ending)
        await self.gate.settle()
        return self.record(where)

    def record(self, where: tuple[str, str]) -> Record:
        """Give the record."""
        found = self.gate.cluster.record(*where)
        if found is None:
            raise LookupError(f"no record {where}")
        return found


def answer(outcome: Outcome) -> str:
    """Give the webhook's words: the denial, or reason and warnings."""
    if outcome.message:
        return outcome.message
    return "\n".join([outcome.audit.get("reason", ""), *outcome.warnings])


def patch(outcome: Outcome) -> str:
    """Give a patch, an operation a line."""
    return "\n".join(msgspec.json.encode(step).decode() for step in outcome.patch)


def standing(record: Record) -> str:
    """Give a record's standing in one line."""
    status = record.status
    job = f", Job {status.job.name}" if status.job else ""
    failed = f": {status.failure.classification}, {status.failure.message}" if status.failure else ""
    return f"{record.namespace}/{record.name} {short(status.spec_hash)} {status.phase}{job}{failed}"


async def introduce(story: Story) -> None:
    """Show who is governed, and from what baseline."""
    story.chapter("Four running Gateways come under guard; what runs is the baseline, no Job is needed")
    records = sorted(story.gate.cluster.records(), key=lambda record: (record.namespace, record.name))
    rows = [
        [f"{item.namespace}/{item.name}", str(item.status.phase), short(item.status.spec_hash), item.status.image]
        for item in records
    ]
    evidence = {str(done.evidence) for item in records for done in item.status.completed_hashes}
    story.step(
        f"webhooks at {story.gate.url}",
        holds=len(records) == 4 and all(item.status.complete for item in records) and evidence == {"Adopted"},
        shown=table(("GATEWAY", "PHASE", "HASH", "IMAGE"), rows),
    )


async def stock_operator(story: Story) -> None:
    """An upgrade by the stock operator: refused, migrated, admitted, rolled back."""
    where = ("team-a", "ssg")
    story.chapter("Stock operator: the Gateway resource asks for 11.3.0")
    record = await story.announce(where, NEW)
    story.step(
        "the migration Job starts by itself", holds=record.status.phase is Phase.RUNNING, shown=standing(record)
    )
    outcome = await story.upgrade(where, NEW, OPERATOR)
    denied = not outcome.stored and outcome.audit["reason"] == "MigrationRunning"
    story.step("the operator's update of the Deployment is denied meanwhile", holds=denied, shown=answer(outcome))
    restart = story.deployment(*where, OLD)
    restart["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    outcome = await story.api.write(restart, user=KUBECTL)
    pod = await story.api.start_pods(*where)
    free = outcome.stored and outcome.audit["reason"] == "InputsUnchanged" and "skip" in patch(pod)
    story.step("pods of the old version restart freely, in skip", holds=free, shown=answer(outcome))
    record = await story.finish(where, SUCCESS)
    meta = story.gate.cluster.deployment_meta(*where)
    mark = meta.annotation(MIGRATED) if meta else None
    story.step(
        "the Job ends; the Deployment is annotated, which wakes the operator at once",
        holds=record.status.complete and mark == short(record.status.spec_hash),
        shown=standing(record),
    )
    outcome = await story.upgrade(where, NEW, OPERATOR)
    story.step(
        "the operator's next try is admitted", holds=_reason(outcome, "MigrationComplete"), shown=answer(outcome)
    )
    pod = await story.api.start_pods(*where)
    story.step("new pods start in skip; the patch:", holds="skip" in patch(pod), shown=patch(pod))
    outcome = await story.upgrade(where, OLD, KUBECTL)
    story.step("a rollback never waits", holds=_reason(outcome, "RolledBack"), shown=answer(outcome))


async def operator_with_job(story: Story) -> None:
    """An operator that migrates by itself, with node.properties: its Job is waited for, and none of ours made."""
    where, image = ("team-b", "edge"), "registry.example.com:5000/apim/gateway-enterprise:11.3.0"
    story.chapter("Operator with a migration Job of its own: schemagate runs none, and waits for that one")
    await story.announce(where, image)
    outcome = await story.upgrade(where, image, OPERATOR)
    denied = not outcome.stored and outcome.audit["reason"] == "MigrationPending"
    waits = "waiting for the operator's or chart's own migration Job edge-db-migration" in outcome.message
    story.step("its update of the Deployment is denied before", holds=denied and waits, shown=answer(outcome))
    record = await story.operators_job(where)
    ours = record.status.job is not None
    running = record.status.phase is Phase.RUNNING and not ours
    story.step("the operator makes its Job, which is followed", holds=running, shown=standing(record))
    record = await story.end(where, external_name(where[1]), SUCCESS)
    done = record.status.completion(record.status.spec_hash)
    external = record.status.complete and done is not None and done.evidence is Evidence.EXTERNAL
    shown = f"{standing(record)}, evidence {done.evidence}, Job UID {done.job_uid}" if done else standing(record)
    story.step("that Job ends, and is the evidence", holds=external, shown=shown)
    outcome = await story.upgrade(where, image, OPERATOR)
    story.step(
        "the operator's next try is admitted", holds=_reason(outcome, "MigrationComplete"), shown=answer(outcome)
    )
    pod = await story.api.start_pods(*where)
    replaced = any("default" in warning for warning in pod.warnings) and "skip" in patch(pod)
    story.step(
        "the mode that its pods were given by hand is replaced, with a warning",
        holds=replaced,
        shown=f"{answer(pod)}\n{patch(pod)}",
    )


async def helm(story: Story) -> None:
    """An upgrade by Helm: a lock left behind, then mended."""
    where = ("team-h", "my-gateway")
    story.chapter("Helm chart: nothing stored names 11.3.0, so the denial gives the command that announces it")
    outcome = await story.upgrade(where, NEW, HELM)
    denied = not outcome.stored and "schemagate migrate my-gateway -n team-h" in outcome.message
    story.step("helm upgrade is denied", holds=denied, shown=answer(outcome))
    await story.announce(where, NEW)
    record = await story.finish(where, LOCKED)
    failure = record.status.failure
    held = record.status.phase is Phase.FAILED and failure is not None and failure.classification == "LockHeld"
    story.step("announced; its migration meets a lock left behind", holds=held, shown=standing(record))
    outcome = await story.upgrade(where, NEW, HELM)
    denied = not outcome.stored and outcome.audit["reason"] == "MigrationFailed"
    story.step("a failed migration blocks, and says why", holds=denied, shown=answer(outcome))
    job = record.status.job
    story.gate.cluster.delete("Job", where[0], job.name if job else "")
    await story.gate.settle()
    record = await story.finish(where, SUCCESS)
    second = record.status.job is not None and record.status.job.attempts == 2
    story.step("lock released, Job deleted: the next attempt succeeds", holds=second, shown=standing(record))
    outcome = await story.upgrade(where, NEW, HELM)
    story.step("helm upgrade is admitted", holds=_reason(outcome, "MigrationComplete"), shown=answer(outcome))


async def plain_in_hold(story: Story) -> None:
    """A plain Deployment in mode Hold: accepted, paused, released."""
    where, image = ("team-p", "portal"), "layer7api/gateway:11.3.0"
    story.chapter("Plain Deployment in mode Hold: the change is accepted and simply does not start")
    outcome = await story.upgrade(where, image, KUBECTL)
    paused = outcome.stored and outcome.manifest["spec"].get("paused") is True
    record = story.record(where)
    story.step("stored, but paused; its Job starts", holds=paused, shown=f"{answer(outcome)}\n{standing(record)}")
    await story.finish(where, SUCCESS)
    stored = story.gate.cluster.get("Deployment", *where) or {}
    story.step("migrated: released by the controller", holds="paused" not in stored["spec"])
    pod = await story.api.start_pods(*where)
    kept = "SCHEMAGATE_EXTRA_JAVA_ARGS" in patch(pod)
    story.step("arguments from an optional Secret key are kept", holds=kept, shown=patch(pod))


async def audit(story: Story) -> None:
    """Show who was turned away, why, and what came of it."""
    story.chapter("The audit: who was turned away, why, and what came of it")
    rows = audit_rows(story.gate.cluster.records())
    lines = [[row.deployment, row.change, row.reason, str(row.times), row.user, row.outcome] for row in rows]
    reasons = {row.reason for row in rows}
    expected = {"MigrationRunning", "MigrationPending", "MigrationFailed", "Held"}
    story.step(
        f"{len(rows)} rejections on record",
        holds=reasons == expected and all(row.passes for row in rows),
        shown=table(("DEPLOYMENT", "CHANGE", "REASON", "TIMES", "USER", "WHAT CAME OF IT"), lines),
    )


CHAPTERS: tuple[Chapter, ...] = (
    introduce,
    stock_operator,
    operator_with_job,
    helm,
    plain_in_hold,
    audit,
)


def _reason(outcome: Outcome, reason: str) -> bool:
    return outcome.stored and outcome.audit.get("reason") == reason
