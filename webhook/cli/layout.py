"""Records as a person reads them: a line each, or all of one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from webhook.cli.output import CELL_LIMIT, table
from webhook.cli.standing import Row
from webhook.policy.decision import MESSAGE_LIMIT, printable
from webhook.policy.inputs import short

_HEAD = ("NAMESPACE", "NAME", "PHASE", "COMPLETE", "IMAGE", "MODE", "REJECTED", "SINCE", "MESSAGE")
_SHOWN_REJECTIONS = 5


def listing(rows: Sequence[Row], now: datetime) -> str:
    """Lay out a line for each record."""
    return table(_HEAD, [_line(item, now) for item in rows])


def _line(item: Row, now: datetime) -> list[str]:
    return [
        item["namespace"],
        item["name"],
        item["phase"] or "-",
        short(item["hash"] or "") if item["complete"] else "-",
        image_tag(item["image"] or "") or "-",
        item["mode"] or "-",
        str(item["rejected"]),
        duration(item["since"], now),
        item["message"],
    ]


def full(item: Row, now: datetime) -> str:
    """Lay out all of one record."""
    return "\n".join(_full(item, now))


def _full(item: Row, now: datetime) -> Iterator[str]:
    job, failure = item["job"], item["failure"]
    facts = {
        "record": f"{item['namespace']}/{item['name']}, kept by {'schemagate' if item['managed'] else 'yourself'}",
        "phase": f"{item['phase'] or '-'} for {duration(item['since'], now)}",
        "message": item["message"],
        "next": item["next"],
        "image": item["image"],
        "database": item["jdbcUrl"],
        "hash": item["hash"],
        "clearLocks": str(item["clearLocks"]).lower(),
        "deadline": f"{item['activeDeadlineSeconds']} s",
        "announced": item["announced"],
        "mode": item["mode"] or "of the namespace, or the default",
        "runner": item["runner"] or "by default",
        "job": f"{job['name']}, attempt {job['attempts']}" if job else None,
    }
    for name, value in facts.items():
        yield f"{name + ':':<12}{printable(str(value or '-'), MESSAGE_LIMIT)}"
    if failure:
        yield ""
        yield f"failed: {failure['class']}: {printable(failure['message'], MESSAGE_LIMIT)}"
        yield from (f"  | {line}" for line in failure["logTail"])
    yield from _section(
        ("COMPLETE", "IMAGE", "EVIDENCE", "SINCE"),
        (
            [short(done["hash"]), done["image"], done["evidence"], duration(done["time"], now)]
            for done in item["completed"]
        ),
    )
    yield from _section(
        ("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"),
        (
            [seen["type"], seen["status"], seen["reason"], duration(seen["since"], now), seen["message"]]
            for seen in item["conditions"]
        ),
    )
    yield from _section(
        ("REJECTED", "TIMES", "LAST", "BY", "CHANGE"),
        (
            [
                seen["reason"],
                str(seen["times"]),
                duration(seen["last"], now),
                seen["user"],
                f"{image_tag(seen['from']) or 'new'} → {image_tag(seen['to'])}",
            ]
            for seen in item["rejections"][:_SHOWN_REJECTIONS]
        ),
    )


def _section(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = list(rows)
    if lines:
        yield ""
        yield table(head, lines)


def image_tag(image: str) -> str:
    """Give what tells an image from others of its name: the tag, or the beginning of the digest."""
    last = image.rpartition("/")[2]
    name, _, digest = last.partition("@")
    tag = name.partition(":")[2]
    return printable(tag or digest[:19] or name, CELL_LIMIT)


def duration(since: datetime | None, now: datetime) -> str:
    """Give how long ago that was, as kubectl does: in one unit, or a dash."""
    if since is None:
        return "-"
    seconds = max(0, int((now - since).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
