"""Logs: one JSON object a line, on standard error."""

import logging
import sys
from typing import Any

import msgspec
import structlog

from webhook.policy.decision import MESSAGE_LIMIT
from webhook.policy.redaction import safe


def configure_logging(level: str) -> None:
    """Log from ``level`` up (debug, info, warning, error), one JSON object a line, on standard error.

    Tracebacks carry no local variables: those may hold keys.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
            ),
            structlog.processors.JSONRenderer(serializer=_json_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


def _json_line(event: Any, **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


class _Bridge(logging.Handler):
    """Passes what libraries log through the standard library on to the same sink."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; its arguments are part of the text. A level between two counts as the lower one."""
        try:
            level = min(record.levelno // 10 * 10, logging.CRITICAL)
            structlog.get_logger(record.name).log(level, record.getMessage(), exc_info=record.exc_info)
        except Exception:  # noqa: BLE001 # a logger must not throw at whoever logs
            self.handleError(record)


def logger() -> Any:
    """Give the application's logger."""
    return structlog.get_logger("schemagate")


def said(error: Exception) -> str:
    """Give the words of an error for a log, in one line: an API server's may repeat what somebody wrote."""
    return safe(str(error), MESSAGE_LIMIT)
