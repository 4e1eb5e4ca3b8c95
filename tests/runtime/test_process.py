"""What every process of ours does."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC

from webhook.runtime.process import user_agent, utc_now


def test_time_is_aware_and_in_utc() -> None:
    assert utc_now().tzinfo is UTC
    assert utc_now() <= utc_now()


def test_a_user_agent_names_the_replica_and_is_one_header_whatever_it_is_called() -> None:
    assert user_agent("schemagate-controller", "pod-1").endswith(" (pod-1)")
    assert user_agent("schemagate-controller", "a(b)\r\nX: y\u00fc").endswith(" (a-b---X: y-)")


def test_the_collector_is_calmed() -> None:
    # In a process of its own: what is frozen here would stay so for all tests that follow.
    code = (
        "import gc; from webhook.runtime.process import calm_collector; calm_collector(); "
        "print(gc.get_freeze_count() > 0, *gc.get_threshold())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert shown[0] == "True"
    assert [int(threshold) for threshold in shown[1:]] == [20_000, 50, 1000]
