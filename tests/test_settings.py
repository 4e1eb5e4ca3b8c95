"""Settings: flags, environment, and what is told of bad ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from webhook.errors import StartError
from webhook.policy.record import Mode
from webhook.policy.rollout.change import DryRun, Terms
from webhook.settings import Settings, read_settings

FIELDS = sorted(Settings.model_fields)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FIELDS:
        monkeypatch.delenv(f"SCHEMAGATE_{name.upper()}", raising=False)


def test_every_setting_has_a_default_and_a_description() -> None:
    settings = read_settings()
    assert (settings.host, settings.port, settings.ops_port) == ("127.0.0.1", 9443, 8080)
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_is_read_and_a_flag_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMAGATE_PORT", "1234")
    monkeypatch.setenv("SCHEMAGATE_OPS_PORT", "1235")
    monkeypatch.setenv("SCHEMAGATE_DEFAULT_MODE", "Hold")
    monkeypatch.setenv("SCHEMAGATE_TLS_CERT", "/c.pem")
    monkeypatch.setenv("SCHEMAGATE_TLS_KEY", "/k.pem")
    settings = read_settings(port=0, ops_port=None)
    assert (settings.port, settings.ops_port, settings.default_mode) == (0, 1235, Mode.HOLD)
    assert (settings.tls_cert, settings.tls_key) == (Path("/c.pem"), Path("/k.pem"))


def test_what_holds_for_all_rollouts_is_set_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().terms == Terms(bypass_longest=timedelta(hours=24), dry_run=DryRun.DECIDE)
    monkeypatch.setenv("SCHEMAGATE_BYPASS_MAX_SECONDS", "3600")
    monkeypatch.setenv("SCHEMAGATE_DRY_RUN", "warn")
    assert read_settings().terms == Terms(bypass_longest=timedelta(hours=1), dry_run=DryRun.WARN)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FIELDS:
        monkeypatch.setenv(f"SCHEMAGATE_{name.upper()}", "")
    assert read_settings() == Settings()
    assert read_settings().tls_cert is None


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "PORT": "70000",
        "OPS_PORT": "http",
        "DEFAULT_MODE": "reject",
        "DRAIN_SECONDS": "nan",
        "RELOAD_SECONDS": "0",
        "LOG_LEVEL": "loud",
        "WATCH_IDLE_SECONDS": "4",
    }
    for name, value in bad.items():
        monkeypatch.setenv(f"SCHEMAGATE_{name}", value)
    with pytest.raises(StartError) as error:
        read_settings(host="")
    told = str(error.value)
    assert "\n" not in told
    for name in (*bad, "HOST"):
        assert f"SCHEMAGATE_{name})" in told
    assert "'Reject'" in told


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_a_certificate_needs_its_key(given: str) -> None:
    with pytest.raises(StartError, match="both --tls-cert and --tls-key"):
        read_settings(**{given: "x.pem"})
