"""What the checks say: one line about one thing, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from webhook.policy.redaction import safe

TEXT_LIMIT = 600
"""Longest message, and longest advice, in characters."""

T = TypeVar("T")


class Level(StrEnum):
    """How it stands. UNKNOWN: what it takes could not be read."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Check(StrEnum):
    """What is looked at (CamelCase, closed set), in the order in which it is told."""

    KUBERNETES = "Kubernetes"
    PROCESSES = "Processes"
    DEFINITION = "Definition"
    WEBHOOKS = "Webhooks"
    FENCES = "Fences"
    SERVICE = "Service"
    CERTIFICATE = "Certificate"
    CA_BUNDLE = "CABundle"
    CANARY = "Canary"
    RIGHTS = "Rights"
    LEADER = "Leader"
    CLOCKS = "Clocks"
    MIGRATIONS = "Migrations"
    FOREIGN_JOBS = "ForeignJobs"
    COVERAGE = "Coverage"
    OTHER_WEBHOOKS = "OtherWebhooks"


@dataclass(frozen=True, slots=True)
class Unread:
    """Stands for what could not be read: ``right`` says what whoever asks would have to hold.

    Where it was no matter of rights, ``cause`` says what was asked and what was answered.
    """

    right: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Make it by the functions below: they keep credentials and control characters out."""

    check: Check
    level: Level
    message: str
    advice: str = ""


def ok(check: Check, message: str) -> Line:
    """Give a line that says that all is well."""
    return _line(check, Level.OK, message)


def warn(check: Check, message: str, advice: str) -> Line:
    """Give a line about what works, but not as it should."""
    return _line(check, Level.WARN, message, advice)


def fail(check: Check, message: str, advice: str) -> Line:
    """Give a line about what keeps schemagate from doing its work."""
    return _line(check, Level.FAIL, message, advice)


def unknown(check: Check, what: str, unread: Unread) -> Line:
    """Give a line about what could not be read."""
    if unread.cause:
        return unclear(check, f"{what} cannot be told: {unread.cause}", "ask again; if it stays so, see why")
    told = f"{what} cannot be told: you may not {unread.right}"
    return unclear(check, told, "ask as somebody who may, or have the right granted to you")


def unclear(check: Check, message: str, advice: str) -> Line:
    """Give a line about what could not be looked at for another reason."""
    return _line(check, Level.UNKNOWN, message, advice)


def first_unread(*facts: object) -> Unread:
    """Give the first of several facts that could not be read; StopIteration when all could."""
    return next(fact for fact in facts if isinstance(fact, Unread))


def named(names: list[str], shown: int = 5) -> str:
    """Give a list of names for a message, shortened."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def _line(check: Check, level: Level, message: str, advice: str = "") -> Line:
    return Line(check, level, safe(message, TEXT_LIMIT), safe(advice, TEXT_LIMIT))
