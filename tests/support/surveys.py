"""Clusters to report on: a small one with something of everything, and one as large as is promised."""

from datetime import timedelta
from functools import cache
from typing import Any

from tests.support import builders as make
from tests.support.builders import NOW
from webhook.audit.report.survey import Survey, survey
from webhook.audit.scan.stock import Stock
from webhook.policy.inputs import migration_inputs
from webhook.policy.names import HELD
from webhook.policy.objects import ConfigMap, Deployment, Namespace, PodSpec, view
from webhook.policy.record import Record, RecordSpec

CLUSTER = "prod-eu"
REPOSITORY = "docker.io/caapim/gateway"
SHARED = {"ledger-dr": "ledger"}
"""Gateways that use the database of another."""


def at(**ago: float) -> str:
    """A time before now, as the API server writes it."""
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def image(version: str) -> str:
    return f"{REPOSITORY}:{version}"


def config_map(namespace: str, name: str) -> ConfigMap:
    """What names a Gateway's database."""
    url = f"jdbc:mysql://{SHARED.get(name, name)}.mysql.svc:3306/ssg"
    data = {"DISKLESS_CONFIG": "true", "SSG_DATABASE_JDBC_URL": url}
    metadata = {"metadata": {"namespace": namespace}}
    return view(ConfigMap, make.merged(make.config_map(name, data), metadata))


@cache
def hash_of(name: str, version: str) -> str:
    """The hash of a Gateway's inputs, as the rules work it out."""
    spec = view(PodSpec, make.pod_spec(_container(name, version)))
    inputs = migration_inputs(spec, (spec.containers or ())[0], RecordSpec(), {name: config_map("any", name)})
    assert inputs is not None
    return inputs.spec_hash


def _container(name: str, version: str) -> dict[str, Any]:
    return make.container(image=image(version), envFrom=[{"configMapRef": {"name": name}}])


def done(name: str, version: str, evidence: str = "Job", **ago: float) -> dict[str, Any]:
    return {"hash": hash_of(name, version), "image": image(version), "evidence": evidence, "time": at(**ago)}


def refused(name: str, version: str, count: int, user: str, first: str, last: str, **more: Any) -> dict[str, Any]:
    return {
        "hash": hash_of(name, version)[:16],
        "reason": "MigrationPending",
        "user": user,
        "fromImage": image("11.2.2"),
        "toImage": image(version),
        "mode": "Reject",
        "decision": "denied",
        "count": count,
        "first": first,
        "last": last,
        **more,
    }


def old(name: str) -> dict[str, Any]:
    """What every Gateway was migrated to last week."""
    return done(name, "11.2.2", days=9)


def conditions(phase: str, message: str, **ago: float) -> list[dict[str, Any]]:
    degraded = "True" if phase == "Failed" else "False"
    kinds = {"Ready": "False", "Progressing": "True", "Degraded": degraded}
    return [
        {
            "type": kind,
            "status": status,
            "reason": f"Migration{phase}",
            "message": message,
            "lastTransitionTime": at(**ago),
        }
        for kind, status in kinds.items()
    ]


def record(namespace: str, name: str, version: str, phase: str, **status: Any) -> Record:
    entries = status.pop("refused", [])
    rejections = {"count": sum(entry["count"] for entry in entries), "newest": entries} if entries else {}
    spec = status.pop("spec", {})
    body = {"phase": phase, "specHash": hash_of(name, version), "image": image(version), "rejections": rejections}
    metadata = {"namespace": namespace, "name": name}
    return Record.from_manifest(make.record(metadata=metadata, spec=spec, status={**body, **status}))


def gateway(namespace: str, name: str, version: str, *, held: bool = False) -> Deployment:
    metadata = {"namespace": namespace, "name": name, "annotations": {HELD: "x"} if held else None}
    return view(Deployment, make.deployment(_container(name, version), metadata=metadata, spec={"paused": held}))


def small() -> Survey:
    """Something of everything, as the picture in the README shows it."""
    argo, helm, ann = "system:serviceaccount:argocd:argocd-application-controller", "helm@ci", "ann@example.com"
    job = {"name": "ssg-db-migration-bbbbbbbb", "uid": "j-1", "hash": ""}
    stuck = f"migration 0123456789abcdef of {image('11.3.0')} is"
    records = [
        record(
            "payments",
            "edge",
            "11.3.0",
            "Failed",
            job={**job, "attempts": 2},
            startTime=at(minutes=52),
            failure={
                "class": "LockHeld",
                "message": "the Liquibase lock is held by edge-7c9d (10.4.1.17) since 2026-11-22 10:41",
                "logTail": "Waiting for changelog lock....\nWaiting for changelog lock....\n"
                "liquibase.exception.LockException: Could not acquire change log lock. Locked by edge-7c9d",
            },
            conditions=conditions("Failed", "the lock is held", minutes=47),
            completedHashes=[old("edge")],
            refused=[
                refused("edge", "11.3.0", 34, argo, at(hours=2), at(minutes=2), reason="MigrationFailed"),
                refused("edge", "11.3.0", 3, ann, at(hours=1), at(minutes=50)),
            ],
        ),
        record(
            "retail",
            "shop",
            "11.2.2",
            "Complete",
            completedHashes=[old("shop")],
            refused=[refused("shop", "11.3.0", 3, helm, at(hours=3), at(minutes=25))],
        ),
        record(
            "retail",
            "partner-api",
            "11.3.0",
            "Complete",
            completedHashes=[done("partner-api", "11.3.0", minutes=18), old("partner-api")],
            refused=[refused("partner-api", "11.3.0", 1, helm, at(minutes=31), at(minutes=31), passes=True)],
        ),
        record(
            "payments",
            "ledger",
            "11.3.0",
            "Running",
            job={**job, "name": "ledger-db-migration-bbbbbbbb", "attempts": 1},
            startTime=at(seconds=40),
            conditions=conditions("Running", f"{stuck} Running", seconds=40),
            completedHashes=[old("ledger")],
            refused=[
                refused("ledger", "11.3.0", 2, argo, at(minutes=3), at(seconds=25), reason="MigrationRunning")
            ],
        ),
        record(
            "payments",
            "ledger-dr",
            "11.3.0",
            "Waiting",
            conditions=conditions(
                "Waiting", f"{stuck} Waiting: payments/ledger migrates the same database", seconds=38
            ),
            completedHashes=[old("ledger-dr")],
            refused=[
                refused(
                    "ledger-dr", "11.3.0", 1, argo, at(seconds=39), at(seconds=39), mode="Hold", decision="held"
                )
            ],
        ),
        record(
            "identity",
            "oauth",
            "11.3.0",
            "Complete",
            startTime=at(days=1, minutes=4),
            completionTime=at(days=1),
            completedHashes=[done("oauth", "11.3.0", days=1), old("oauth")],
            refused=[
                refused(
                    "oauth",
                    "11.3.0",
                    7,
                    argo,
                    at(days=1, minutes=6),
                    at(days=1, minutes=1),
                    passes=True,
                    ended="Migrated",
                    endedAt=at(days=1),
                )
            ],
        ),
        record(
            "identity",
            "login",
            "11.2.2",
            "Complete",
            completedHashes=[old("login"), done("login", "11.1.3", "Adopted", days=40)],
            refused=[
                refused("login", "11.4.0", 2, ann, at(days=5), at(days=5), ended="Abandoned", endedAt=at(days=4))
            ],
        ),
        record(
            "identity", "saml", "11.2.2", "Complete", completedHashes=[done("saml", "11.2.2", "External", days=8)]
        ),
        record("lab", "bench", "11.2.2", "Disabled", spec={"enabled": False}),
    ]
    versions = {"payments/ledger-dr": "11.3.0", "identity/oauth": "11.3.0"}
    deployments = [
        gateway(
            item.namespace,
            item.name,
            versions.get(f"{item.namespace}/{item.name}", "11.2.2"),
            held=item.name == "ledger-dr",
        )
        for item in records
    ]
    deployments += [gateway("legacy", "soap", "11.2.2"), gateway("legacy", "batch", "11.1.3")]
    stored = stock(records, deployments)
    return survey(stored, cluster=CLUSTER, taken=NOW)


def stock(records: list[Record], deployments: list[Deployment], **labels: str) -> Stock:
    namespaces = {item.metadata.namespace for item in deployments}
    return Stock(
        deployments=deployments,
        records={(item.namespace, item.name): item for item in records},
        namespaces={name: view(Namespace, make.namespace(**labels)) for name in namespaces},
        config_maps={
            (item.metadata.namespace, item.metadata.name): config_map(item.metadata.namespace, item.metadata.name)
            for item in deployments
        },
    )


def large(gateways: int = 200, refusals: int = 5000) -> Survey:
    """As many Gateways, and as many refusals over them: distinct ones as far as a record keeps them."""
    records, deployments = [], []
    each = refusals // gateways
    phases = ("Complete", "Complete", "Complete", "Failed", "Running", "Waiting", "Pending", "Complete")
    for number in range(gateways):
        namespace, name = f"team-{number // 8:02}", f"gateway-{number:03}"
        kept = [
            refused(
                name,
                "11.3.0",
                1 + (each - 20 if at_ == 0 else 0),
                f"system:serviceaccount:team-{number // 8:02}:deployer-{at_:02}",
                at(hours=number + at_),
                at(minutes=7 * number + 13 * at_),
            )
            for at_ in range(min(20, each))
        ]
        records.append(
            record(
                namespace,
                name,
                "11.3.0",
                phases[number % len(phases)],
                startTime=at(minutes=number + 1),
                completedHashes=[done("login", "11.2.2", days=number % 30 + 1)],
                conditions=conditions("Failed", "it failed", minutes=number),
                failure={"class": "ChangesetFailed", "message": "changeset 42 failed", "logTail": "line\n" * 20},
                refused=kept,
            )
        )
        deployments.append(gateway(namespace, name, "11.2.2"))
    stored = stock(records, deployments)
    return survey(stored, cluster=CLUSTER, taken=NOW)
