"""Settings that all tests share."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.controlplane.scheduling import pytest_xdist_make_scheduler

__all__ = ["pytest_xdist_make_scheduler"]


@pytest.fixture(autouse=True)
def _logs_of_this_test() -> Iterator[None]:
    """Have no test log to what stood for stderr in another, and is closed by now."""
    yield
    structlog.reset_defaults()


# Examples are drawn from a fixed seed, so that a failure on CI is one on every machine. A deadline per example
# would be a time asserted on a shared machine.
settings.register_profile(
    "full", deadline=None, derandomize=True, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("full"), max_examples=30)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))
