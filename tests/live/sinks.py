"""Where a verdict is told: each of these gives what was told of one namespace's Deployments, in the same words."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.live.installation import Replica
from tests.live.world import Manifest, World
from webhook.audit.decisions import SCHEMA

Series = tuple[str, str, str]
"""Labels webhook, decision and reason of a counted verdict on an update."""
VALIDATOR, MUTATOR = "deployments.validate.schemagate.io", "deployments.mutate.schemagate.io"
EVENTS: Final = {
    "RolloutDenied": "denied",
    "RolloutHeld": "held",
    "RolloutWarned": "warned",
    "RolloutNoted": "noted",
    "BypassUsed": "bypassed",
}
_NOTE = re.compile(r".*\((?P<hash>\w{16}|no hash)\), asked for by (?P<user>\S+); (?P<reason>\w+)(: .*)?")
_ROW = re.compile(r'<tr><th scope="row">(?P<where>.*?)</th>(?P<cells>.*?)</tr>', re.DOTALL)
_CELL = re.compile(r"<td[^>]*>(.*?)</td>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one rejection. None is what a sink has no room for; empty is what it says is not known."""

    namespace: str
    name: str
    reason: str
    decision: str
    mode: str | None
    hash: str | None
    user: str

    def agrees(self, other: "Told") -> bool:
        """Tell whether both say the same, as far as both say anything."""
        same = (
            getattr(self, field) == getattr(other, field) for field in ("mode", "hash") if self.has(other, field)
        )
        fixed = ("namespace", "name", "reason", "decision", "user")
        return all(getattr(self, field) == getattr(other, field) for field in fixed) and all(same)

    def has(self, other: "Told", field: str) -> bool:
        """Tell whether both say something of a field."""
        return getattr(self, field) is not None and getattr(other, field) is not None


def lines(webhook: Replica, namespace: str) -> list[Manifest]:
    """Give the lines of the decision log about Deployments of a namespace."""
    found = [json.loads(text) for text in webhook.log.rpartition("\n")[0].splitlines() if SCHEMA in text]
    return [item for item in found if item["namespace"] == namespace and item["webhook"] != "pods.mutate"]


def of_log(webhook: Replica, namespace: str) -> list[Told]:
    """Read the decision log."""
    return [
        Told(
            namespace,
            item["name"],
            item["reason"],
            item["remembered"],
            item["mode"],
            item["hash"] or "",
            item["user"],
        )
        for item in lines(webhook, namespace)
        if item["remembered"]
    ]


async def of_ledger(world: World) -> list[Told]:
    """Read the record, one for each time that an entry was counted."""
    record = await world.record()
    rejections = record["status"].get("rejections") or {}
    found = [
        Told(
            world.namespace,
            record["metadata"]["name"],
            item["reason"],
            item["decision"],
            item["mode"],
            item.get("hash", ""),
            item["user"],
        )
        for item in rejections.get("newest", [])
        for _ in range(item["count"])
    ]
    assert rejections.get("count", 0) == len(found), rejections
    return found


async def of_events(world: World) -> list[Told]:
    """Read the Events, one for each time that a series was counted; they name no mode."""
    found = []
    for item in await world.admin.items(world.path("Event")):
        if item["reason"] in EVENTS:
            said = _NOTE.fullmatch(item["note"])
            assert said is not None, item["note"]
            spec_hash = "" if said["hash"] == "no hash" else said["hash"]
            told = Told(
                item["regarding"]["namespace"],
                item["regarding"]["name"],
                said["reason"],
                EVENTS[item["reason"]],
                None,
                spec_hash,
                said["user"],
            )
            found += [told] * (item.get("series") or {"count": 1})["count"]
    return found


def of_api_server(events: Iterable[Manifest], namespace: str) -> list[Told]:
    """Read the API server's audit log: what our webhooks annotated requests with that were no dry runs."""
    found = []
    for event in events:
        where, notes = event.get("objectRef", {}), event.get("annotations", {})
        if where.get("namespace") != namespace or "dryRun" in event["requestURI"]:
            continue
        decision, webhook = _decision(notes), VALIDATOR
        if decision == "held":
            webhook = MUTATOR
        if decision:
            said = {key: notes.get(f"{webhook}/{key}", "") for key in ("reason", "mode", "migration-hash")}
            user = event["user"]["username"]
            told = (said["reason"], decision, said["mode"], said["migration-hash"], user)
            found.append(Told(namespace, where["name"], *told))
    return found


def _decision(notes: dict[str, str]) -> str:
    validated = notes.get(f"{VALIDATOR}/decision")
    if notes.get(f"{VALIDATOR}/bypass") == "honoured":
        return "bypassed"
    if notes.get(f"{MUTATOR}/decision") == "hold" and validated != "deny":
        return "held"
    would = "noted" if notes.get(f"{VALIDATOR}/mode") == "Audit" else "warned"
    return {"deny": "denied", "would-deny": would}.get(validated or "", "")


def of_document(text: str, namespace: str) -> list[Told]:
    """Read what ``schemagate audit rejections -o json`` printed, one for each time."""
    return [
        Told(
            namespace,
            item["name"],
            item["reason"],
            item["decision"],
            item["mode"],
            item["hash"] or "",
            item["user"],
        )
        for item in json.loads(text)["rejections"]
        if item["namespace"] == namespace
        for _ in range(item["times"])
    ]


def of_page(page: str, namespace: str) -> list[Told]:
    """Read the table of the HTML report that holds what was turned away; it shows neither mode nor hash."""
    found = []
    table = page.partition('<table class="refusals">')[2].partition("</table>")[0]
    for row in _ROW.finditer(table):
        where, cells = _text(row["where"]), [_text(cell) for cell in _CELL.findall(row["cells"])]
        space, _, name = where.partition("/")
        if space == namespace:
            _, times, user, _, why, _ = cells
            reason, _, decision = why.partition(", ")
            found += [Told(namespace, name, reason, decision, None, None, user)] * int(times)
    return found


def _text(markup: str) -> str:
    return html.unescape(_TAG.sub("", markup))


def counted(webhook: Replica) -> Counter[Series]:
    """Read the metrics: how many verdicts on updates of Deployments there were of each kind."""
    found: Counter[Series] = Counter()
    for sample in _samples(webhook):
        labels = sample.labels
        if sample.name == "schemagate_admission_requests_total" and labels["operation"] == "UPDATE":
            found[labels["webhook"], labels["decision"], labels["reason"]] += int(sample.value)
    return found


def value(webhook: Replica, name: str) -> float:
    """Read one metric that has no labels."""
    (found,) = (sample.value for sample in _samples(webhook) if sample.name == name)
    return float(found)


def _samples(webhook: Replica) -> Sequence[Any]:
    families = text_string_to_metric_families(webhook.metrics())
    return [sample for family in families for sample in family.samples]


def read(path: Path) -> str:
    """Read a page that was written."""
    return path.read_text(encoding="utf-8")
