"""Alerts fire when they should and not otherwise; alerts and dashboard ask for nothing that does not exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.docs.prose import anchors
from tests.docs.reference import controller_registry, labels_of, name_of, webhook_registry
from tests.manifests.rendering import BASE, MANIFESTS, kustomized, run

MONITORING: Final = MANIFESTS / "monitoring"
ROOT: Final = MANIFESTS.parent
RULES: Final = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
ALERTS: Final = {rule["alert"]: rule for group in RULES["spec"]["groups"] for rule in group["rules"]}
CASES: Final = yaml.safe_load(Path(__file__).with_name("alerts.yaml").read_text())
DASHBOARD: Final = json.loads((MONITORING / "dashboard.json").read_text())
QUERIES: Final = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]

API_SERVER: Final = {
    "apiserver_admission_webhook_admission_duration_seconds": {"name", "type", "operation", "rejected"},
    "apiserver_admission_webhook_fail_open_count": {"name", "type"},
    "apiserver_admission_webhook_rejection_count": {"name", "type", "operation", "error_type", "rejection_code"},
}
"""What is taken from others, with its labels: k8s.io/apiserver, pkg/admission/metrics (Kubernetes 1.36)."""
TARGETS: Final = {"up": {"job", "pod"}}
"""What Prometheus itself adds; the labels are those of a ServiceMonitor's targets."""
_SUFFIXES: Final = {"histogram": ("_bucket", "_count", "_sum")}


def known() -> dict[str, set[str]]:
    """Give the labels of all series that may be asked for."""
    found = dict(TARGETS)
    for name, labels in API_SERVER.items():
        histogram = name.endswith("_seconds")
        found |= {f"{name}{end}": labels | {"le"} for end in (_SUFFIXES["histogram"] if histogram else ("",))}
    for registry in (webhook_registry(), controller_registry()):
        for family in registry.collect():
            for end in _SUFFIXES.get(family.type, ("",)):
                name = f"{name_of(family)}{end}"
                found[name] = (
                    found.get(name, set()) | set(labels_of(family)) | ({"le"} if end == "_bucket" else set())
                )
    return found


def selectors(query: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give every metric of a query with its matchers: what no function, word, number or label list is."""
    plain = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", query)
    for found in re.finditer(r"(?<![\w$\"\[])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\(|\w)", plain):
        name, matchers = found[1], found[2] or ""
        before = plain[: found.start()]
        if before.count('"') % 2 or name in {"or", "and", "unless", "offset", "sum", "min", "max"}:
            continue
        yield name, dict(re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers))


@pytest.fixture(scope="module")
def promql() -> dict[str, str]:
    """Give all queries, with what Grafana puts in for its variables."""
    asked = {f"dashboard {number}": query for number, query in enumerate(QUERIES)}
    asked |= {name: rule["expr"] for name, rule in ALERTS.items()}
    return {where: re.sub(r"\$__\w+", "5m", query) for where, query in asked.items()}


def test_the_rules_are_what_prometheus_takes(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]))
    assert f"{len(ALERTS)} rules found" in run("promtool", "check", "rules", str(tmp_path / "rules.yaml"))


def test_every_query_is_one(promql: dict[str, str]) -> None:
    for query in promql.values():
        assert run("promtool", "--experimental", "promql", "format", query).strip()
    with pytest.raises(subprocess.CalledProcessError):
        run("promtool", "--experimental", "promql", "format", "sum(up")


def test_every_query_names_only_metrics_and_labels_that_exist(promql: dict[str, str]) -> None:
    exist = known()
    for where, query in promql.items():
        found = list(selectors(query))
        assert found, where
        for name, matchers in found:
            assert name in exist, f"{where}: no metric {name}"
            assert matchers.keys() <= exist[name], f"{where}: {name} has no such label"
        grouped = {
            label for said in re.findall(r"\bby\s*\(([^)]*)\)", query) for label in re.findall(r"\w+", said)
        }
        assert grouped <= set().union(*(exist[name] for name, _ in found)), where


def test_what_is_asked_for_by_value_exists_from_the_start(promql: dict[str, str]) -> None:
    """A misspelt phase would make an alert that never fires."""
    values: dict[tuple[str, str], set[str]] = {}
    for registry in (webhook_registry(), controller_registry()):
        for sample in (sample for family in registry.collect() for sample in family.samples):
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    asked = 0
    for query in promql.values():
        for name, matchers in selectors(query):
            for label, wanted in matchers.items():
                if name.startswith("schemagate_"):
                    asked += 1
                    assert set(wanted.split("|")) <= values[name, label], f"{name} {label}={wanted}"
    assert asked > 5


def test_a_query_that_names_what_does_not_exist_is_found() -> None:
    found = list(selectors('sum by (pod) (rate(schemagate_nonesuch{phase="x"}[5m])) > 0 or schemagate_other'))
    assert found == [("schemagate_nonesuch", {"phase": "x"}), ("schemagate_other", {})]


def test_every_alert_is_tried_both_ways() -> None:
    assert CASES.keys() == ALERTS.keys()
    for name, cases in CASES.items():
        assert any(case.get("fires") for case in cases), name
        assert any(case.get("silent") for case in cases), name


@pytest.mark.parametrize("alert", list(ALERTS))
def test_it_fires_when_it_should_and_not_otherwise(alert: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]))
    unit = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [*map(_test_of(alert), CASES[alert])],
    }
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(unit, width=10_000))
    try:
        run("promtool", "test", "rules", str(file))
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stdout + error.stderr)


def _test_of(alert: str) -> Any:
    rule = ALERTS[alert]

    def unit_test(case: dict[str, Any]) -> dict[str, Any]:
        times = dict.fromkeys(case.get("silent", [])) | case.get("fires", {})
        return {
            "name": f"{alert}: {case['why']}",
            "interval": "1m",
            "input_series": [{"series": name, "values": said} for name, said in case["series"].items()],
            "alert_rule_test": [
                {
                    "alertname": alert,
                    "eval_time": at,
                    "exp_alerts": [] if labels is None else [_told(rule, labels)],
                }
                for at, labels in times.items()
            ],
        }

    return unit_test


def _told(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Give what is told, with labels in their places; whatever else a template does is not for ours."""
    said = {
        name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
        for name, text in rule["annotations"].items()
    }
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": said}


@pytest.mark.parametrize("alert", list(ALERTS))
def test_it_says_what_it_is_what_it_means_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    told = rule["annotations"]
    assert told.keys() == {"summary", "description", "runbook"}
    page, _, anchor = told["runbook"].partition("#")
    assert anchor in anchors(ROOT / page)
    commands = re.findall(
        r"schemagate ((?:audit )?[a-z]+) (?=names|tells)|schemagate (status) -A", told["description"]
    )
    assert {"audit scan", "audit rejections", "status", ""} >= {part for found in commands for part in found}


def test_the_dashboard_asks_whichever_prometheus_is_chosen() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"], variable["current"]) == ("datasource", "prometheus", {})
    sources = [panel["datasource"] for panel in DASHBOARD["panels"]]
    sources += [target["datasource"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert '"id": null' not in json.dumps(DASHBOARD)


def test_no_panel_lies_over_another_and_each_says_what_it_shows() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
        assert panel["description"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_monitor_finds_the_port_and_the_service_of_the_base() -> None:
    objects = {item["kind"]: item for item in kustomized(MONITORING)}
    assert objects.keys() == {"ConfigMap", "ServiceMonitor", "PrometheusRule"}
    assert {item["metadata"]["namespace"] for item in objects.values()} == {"schemagate"}
    assert json.loads(objects["ConfigMap"]["data"]["dashboard.json"]) == DASHBOARD
    monitor = objects["ServiceMonitor"]["spec"]
    wanted = monitor["selector"]["matchLabels"]
    services = [item for item in kustomized(BASE) if item["kind"] == "Service"]
    (service,) = (item for item in services if wanted.items() <= item["metadata"]["labels"].items())
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [
        port["name"] for port in service["spec"]["ports"]
    ]
    jobs = {
        matchers["job"] for rule in ALERTS.values() for _, matchers in selectors(rule["expr"]) if "job" in matchers
    }
    assert jobs == {service["metadata"]["name"]}
