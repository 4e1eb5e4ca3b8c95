"""The Job that an operator with one of its own makes: it counts, and looks as recorded."""

from __future__ import annotations

from tests.support import builders as make
from tests.support.builders import NEXT_IMAGE, URL
from webhook.embedded.operator import migration_job
from webhook.policy.inputs import MigrationInputs
from webhook.policy.migration.external import external_job
from webhook.policy.names import NODE_PROPERTIES_PATH

DATABASE = "mysql-primary:3306/ssg"
GATEWAY = make.gateway_with_job(spec={"app": {"image": NEXT_IMAGE}})


def test_it_is_what_was_recorded() -> None:
    assert migration_job(GATEWAY, make.deployment()) == make.merged(
        make.operators_job(),
        {"spec": {"template": {"spec": {"dnsPolicy": None}}}},
    )


def test_it_counts_for_what_the_gateway_asks_for() -> None:
    made = migration_job(GATEWAY, make.deployment())
    inputs = MigrationInputs(image=NEXT_IMAGE, jdbc_url=URL, database=DATABASE)
    maps = make.config_maps()
    assert external_job(made, name="ssg", inputs=inputs, gateway_uid="g-1", config_maps=maps) is None


def test_it_takes_node_properties_along_and_leaves_sidecars() -> None:
    mounts = [
        *make.container()["volumeMounts"],
        {"name": "file", "mountPath": NODE_PROPERTIES_PATH, "subPath": "node.properties"},
        {"name": "scratch", "mountPath": "/tmp/x"},
    ]
    deployment = make.deployment(make.container(volumeMounts=mounts))
    pod = deployment["spec"]["template"]["spec"]
    pod["containers"].append({"name": "fluentbit", "image": "fluent-bit"})
    pod["volumes"] += [{"name": "file", "secret": {"secretName": "p"}}, {"name": "scratch", "emptyDir": {}}]
    made = migration_job(GATEWAY, deployment)["spec"]["template"]["spec"]
    assert [item["name"] for item in made["containers"]] == ["gateway"]
    assert [item["name"] for item in made["volumes"]] == ["gateway-license", "file"]
