"""Logs are lines of JSON, whoever writes them."""

import json
import subprocess
import sys

from webhook.errors import RejectedError
from webhook.logs import said

LOGGING = """
import logging
from webhook.logs import configure_logging, logger
configure_logging("info")
logger().debug("quiet")
logger().info("said", name="line\\nbreak\\x1b[31m", odd={1, 2}.__class__)
logging.getLogger("lib").info("quiet too")
logging.getLogger("lib").warning("hundred %% of %s", "it")
logging.getLogger("lib").log(35, "between")
logging.getLogger("lib").log(99, "above")
logging.getLogger("lib").error("broken %d", "x")
def fails():
    password = "hunter2"
    raise ValueError("no")
try:
    fails()
except ValueError:
    logger().exception("failed")
    logging.getLogger("lib").exception("failed too")
"""


def test_logs_are_json_lines_without_local_variables() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    assert [(event["level"], event["event"]) for event in events] == [
        ("info", "said"),
        ("warning", "hundred % of it"),
        ("warning", "between"),
        ("critical", "above"),
        ("error", "failed"),
        ("error", "failed too"),
    ]
    assert all(event["timestamp"].endswith("Z") for event in events)
    assert "hunter2" not in "".join(lines)
    assert events[-1]["exception"][0]["exc_type"] == "ValueError"
    assert "\x1b" not in done.stderr


def test_the_words_of_an_api_server_are_logged_without_credentials_and_in_bounds() -> None:
    error = RejectedError(
        "Job is invalid: env: jdbc:mysql://root:hunter2@db/ssg?password=hunter3\n" + "x" * 90_000
    )
    assert "Job is invalid" in said(error)
    assert "hunter" not in said(error)
    assert "\n" not in said(error)
    assert len(said(error)) <= 1024
