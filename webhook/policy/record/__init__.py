"""The record of a Gateway's migrations (``GatewayMigration``), as a value.

One definition serves all: the rules read it, pydantic checks what a user wrote, and the schema that the API
server holds is made from it (``definition``). Frozen dataclasses with slots, since ten thousand of them live in a
cache and dictionaries would make the garbage collector the slowest part of an answer.

To its readers the record is one thing; that its parts lie in files of their own is a matter of length.
"""

from webhook.policy.record.attempt import Completion, Evidence, Failure, FailureClass, JobReference
from webhook.policy.record.record import Record, read_spec
from webhook.policy.record.rejections import (
    STOPPED,
    Rejection,
    RejectionDecision,
    RejectionEnd,
    Rejections,
)
from webhook.policy.record.spec import FirstInstall, LogLevel, Mode, RecordSpec, Rollback, Runner
from webhook.policy.record.status import Condition, Phase, RecordStatus
from webhook.policy.record.wire import BATCHES_KEPT, KEPT

__all__ = [
    "BATCHES_KEPT",
    "KEPT",
    "STOPPED",
    "Completion",
    "Condition",
    "Evidence",
    "Failure",
    "FailureClass",
    "FirstInstall",
    "JobReference",
    "LogLevel",
    "Mode",
    "Phase",
    "Record",
    "RecordSpec",
    "RecordStatus",
    "Rejection",
    "RejectionDecision",
    "RejectionEnd",
    "Rejections",
    "Rollback",
    "Runner",
    "read_spec",
]
