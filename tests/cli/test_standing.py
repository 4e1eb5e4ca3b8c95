"""A record in words: what others wrote into it is shown without credentials, and not searched for ever."""

from tests.support import builders as make
from webhook.cli.standing import failure_lines, row
from webhook.policy.record import Record

LONG = f"password={'x' * 5000} and the rest"


def test_no_text_of_a_record_is_searched_further_than_it_is_shown() -> None:
    failure = {"class": "Unknown", "message": LONG}
    ready = {"type": "Ready", "status": "False", "reason": "MigrationFailed", "message": LONG}
    status = {"phase": "Failed", "specHash": "a" * 64, "failure": failure, "conditions": [ready]}
    record = Record.from_manifest(make.record(status=status))
    shown = row(record)
    assert shown["failure"]["message"] == shown["conditions"][0]["message"] == shown["message"] == "password=***"
    assert failure_lines(record)[0] == "Unknown: password=***"
