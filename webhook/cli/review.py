"""``schemagate review``: what the webhooks would answer, offline."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

import click
import jsonpatch
import msgspec

from webhook.admission.gather import Gatherer
from webhook.admission.handlers import Verdict, endpoints
from webhook.admission.server import Endpoint
from webhook.cli.output import CELL_LIMIT, emit, format_option, namespace_option, objects_option, table
from webhook.cli.sources import load_cluster, load_judged, refuse_dangling
from webhook.embedded.apiserver import MUTATING, VALIDATING, admission_review
from webhook.embedded.files import Located
from webhook.embedded.writes import EmbeddedControllerCluster
from webhook.errors import SourceError
from webhook.policy.decision import printable
from webhook.policy.record import Mode
from webhook.policy.redaction import redact
from webhook.runtime.process import utc_now

_JUDGED = ("Deployment", "Pod")
_SETTING = ("ConfigMap", "Namespace", "Gateway", "GatewayMigration")


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@objects_option(required=False)
@namespace_option
@click.option("--user", default="ci", show_default=True, help="Who would apply plain manifests.")
@click.option(
    "--default-mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.REJECT.value,
    show_default=True,
    help="Mode where neither record nor namespace names one.",
)
@format_option
def review(
    files: tuple[str, ...],
    objects: tuple[str, ...],
    namespace: str | None,
    user: str,
    default_mode: str,
    output: str,
) -> int:
    """Tell what the webhooks would answer to FILE... (- for stdin).

    FILE holds AdmissionReviews, or plain manifests as a chart renders them: each Deployment and Pod in it is
    judged as an update of what --objects holds, or else as new. ConfigMaps, Namespaces, Gateways and records in
    FILE count as applied before. Prints for each object which check decided and why; exits with 1 when one is
    denied.

    A Deployment goes through both of its webhooks, as it would through an API server.

    Example: helm template my-gateway ... | schemagate review - -n team-h --objects cluster/
    """
    found = load_judged(files, namespace, objects)
    cluster = load_cluster(objects)
    rows = asyncio.run(_judge_all(cluster, found, user, Mode(default_mode)))
    if not rows:
        raise SourceError(f"{', '.join(files)}: nothing to judge; expected an AdmissionReview, Deployment or Pod")
    emit(output, rows, lambda: _text(rows))
    return 1 if any(row["verdict"] == "deny" for row in rows) else 0


class _Seen:
    """A VerdictSink that keeps the last verdict."""

    def __init__(self) -> None:
        self.last: Verdict | None = None

    def verdict(self, verdict: Verdict) -> None:
        self.last = verdict


async def _judge_all(
    cluster: EmbeddedControllerCluster, found: Sequence[Located], user: str, mode: Mode
) -> list[dict[str, Any]]:
    cluster.load([located for located in found if located.kind in _SETTING])
    plain = [located for located in found if located.kind in _JUDGED]
    refuse_dangling(cluster, plain)
    seen = _Seen()
    hooks = endpoints(Gatherer(cluster, mode), seen, utc_now)
    rows = []
    for located in found:
        if located.kind == "AdmissionReview":
            reviewed, kind = located.manifest, _kind_of(located)
        elif located.kind in _JUDGED:
            reviewed, kind = _as_request(cluster, located, user), located.kind
        else:
            continue
        paths = [path for path in (MUTATING.get(kind), VALIDATING.get(kind)) if path]
        for path in paths:
            row = await _judge(hooks[path], seen, reviewed, located, path)
            # A Deployment's mutating webhook has something to say in Hold mode only.
            if row["patch"] or path == paths[-1]:
                rows.append(row)
            if row["patch"]:
                new = jsonpatch.apply_patch(reviewed["request"]["object"], row["patch"])
                reviewed = {**reviewed, "request": {**reviewed["request"], "object": new}}
    return rows


def _kind_of(located: Located) -> str:
    request = located.manifest.get("request")
    kind = request.get("kind") if isinstance(request, dict) else None
    # What is neither is for the validating webhook to answer, as it would online.
    return "Pod" if isinstance(kind, dict) and kind.get("kind") == "Pod" else "Deployment"


def _as_request(cluster: EmbeddedControllerCluster, located: Located, user: str) -> dict[str, Any]:
    new = dict(located.manifest)
    meta = new["metadata"] = {"name": "", **new["metadata"]}
    old = cluster.get(located.kind, meta["namespace"], meta["name"])
    return admission_review(new, old, user=user)


async def _judge(
    endpoint: Endpoint, seen: _Seen, reviewed: Mapping[str, Any], located: Located, path: str
) -> dict[str, Any]:
    reply = await endpoint(msgspec.json.encode(reviewed), deadline=float("inf"))
    if reply.status != 200 or seen.last is None:
        raise SourceError(f"{located.where}: {reply.body.decode().strip()}")
    verdict = seen.last
    response = msgspec.json.decode(reply.body)["response"]
    patch = msgspec.json.decode(base64.b64decode(response["patch"])) if "patch" in response else []
    return {
        "where": located.where,
        "object": f"{verdict.namespace}/{verdict.name}",
        "operation": verdict.operation,
        "webhook": path,
        "verdict": verdict.decision.outcome,
        "reason": verdict.decision.reason.value,
        "check": verdict.decision.check,
        "meaning": verdict.decision.reason.meaning,
        "message": verdict.decision.message,
        "warnings": list(verdict.decision.warnings),
        "patch": patch,
        "response": response,
    }


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("VERDICT", "OBJECT", "OPERATION", "REASON", "DECIDED BY", "WHERE")
    keys = ("verdict", "object", "operation", "reason", "check", "where")
    lines = [table(head, [[str(row[key]) for key in keys] for row in rows]), ""]
    reasons = {row["reason"]: row["meaning"] for row in rows}
    lines += [f"{reason}: {meaning}" for reason, meaning in reasons.items()]
    for row in rows:
        notes = [row["message"], *row["warnings"]]
        notes += [redact(f"patch {msgspec.json.encode(step).decode()}") for step in row["patch"]]
        if any(notes):
            where = printable(f"{row['object']} ({row['where']})", CELL_LIMIT)
            lines += ["", where, *(f"  {note}" for note in notes if note)]
    return "\n".join(lines)
