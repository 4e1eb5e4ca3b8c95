"""Stocks for the scan, from manifests."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support import builders as make
from tests.support.builders import IMAGE, NOW, Manifest
from webhook.audit.scan.finding import Finding, Rule
from webhook.audit.scan.scan import scan
from webhook.audit.scan.stock import Stock
from webhook.cli.audit.stock import stock_of
from webhook.embedded.cluster import EmbeddedCluster
from webhook.policy.inputs import MigrationInputs
from webhook.policy.record import Mode

CASES = Path(__file__).parents[1] / "testdata" / "cases"
RECORDED = "operator-gateway", "operator-gateway-node-properties", "helm-gateway"


def recorded(name: str) -> list[Manifest]:
    """Objects of a Gateway as they were recorded."""
    return [item for item in yaml.safe_load_all((CASES / "objects" / f"{name}.yaml").read_text()) if item]


def stock(*manifests: Mapping[str, Any], default_mode: Mode = Mode.REJECT) -> Stock:
    """What the scan takes, of these objects."""
    cluster = EmbeddedCluster()
    for manifest in manifests:
        cluster.put(copy.deepcopy(dict(manifest)))
    return stock_of(cluster, default_mode=default_mode)


def found(*manifests: Mapping[str, Any], default_mode: Mode = Mode.REJECT) -> tuple[Finding, ...]:
    """What a scan of these objects finds."""
    return scan(stock(*manifests, default_mode=default_mode), NOW).findings


def rules(*manifests: Mapping[str, Any]) -> list[Rule]:
    """The rules that a scan of these objects finds broken."""
    return [item.rule for item in found(*manifests)]


def complete(image: str = IMAGE, url: str = make.URL, **status: Any) -> Manifest:
    """The record of team-a/ssg, with the migration of these inputs complete since an hour."""
    inputs = MigrationInputs(image, url)
    done = {"hash": inputs.spec_hash, "image": image, "time": "2026-11-22T11:00:00Z", "evidence": "Job"}
    return make.record(
        status={"specHash": inputs.spec_hash, "phase": "Complete", "completedHashes": [done], **status}
    )


def healthy() -> list[Manifest]:
    """A guarded Gateway team-a/ssg with nothing wrong: migrated, rolled out, its pods in skip."""
    pod = make.pod(
        make.container(env=skip()), metadata={"name": "ssg-5d8f-a", "creationTimestamp": "2026-11-22T11:30:00Z"}
    )
    old = {"creationTimestamp": "2026-11-01T00:00:00Z"}
    return [
        make.namespace(**{"schemagate.io/enforce": "reject"}),
        make.merged(make.config_map(), {"metadata": old}),
        make.deployment(),
        {**pod, "status": {"phase": "Running"}},
        complete(),
    ]


def skip(mode: str = "skip") -> Sequence[Mapping[str, str]]:
    """Arguments that set a schema-update mode."""
    return [{"name": "EXTRA_JAVA_ARGS", "value": f"-Dgateway.db.schema-update.mode={mode}"}]


def swapped(kind: str, tweak: Mapping[str, Any], objects: Sequence[Manifest] | None = None) -> list[Manifest]:
    """The healthy objects, or these, with the one of a kind tweaked."""
    return [make.merged(item, tweak) if item["kind"] == kind else item for item in objects or healthy()]
