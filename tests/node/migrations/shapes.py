"""Gateways as the operator and the chart make them, by recorded objects, on what there is here to run them."""

from tests.controlplane.objects import recorded
from tests.gateway.database import PASSWORD, USER
from tests.gateway.image import NAMES
from tests.gateway.standin import OLD
from tests.live.world import Manifest
from tests.node.migrations.fleet import PROBE, Fleet
from webhook.policy.names import SSG_DATABASE_JDBC_URL


async def runnable(fleet: Fleet, recording: str) -> dict[str, Manifest]:
    """Give recorded objects by kind, none stored yet; create the Secrets that nobody recorded.

    The stand-in takes the place of the Gateway and of all that runs beside and before it, which does nothing here;
    it is asked by HTTP whether it is ready, and its database is the test's. All else is as it was recorded.
    """
    found = {item["kind"]: item for item in recorded(recording, fleet.world.namespace)}
    for item in found.values():
        item["metadata"]["annotations"] = {}
    data = found["ConfigMap"]["data"]
    if SSG_DATABASE_JDBC_URL in data:
        data[SSG_DATABASE_JDBC_URL] = fleet.url
    if "Gateway" in found:
        app = found["Gateway"]["spec"]["app"]
        app["image"], app["management"]["database"]["jdbcUrl"] = NAMES[OLD], fleet.url
    pod = found["Deployment"]["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 5
    for container in pod["containers"]:
        container["image"] = NAMES[OLD]
        if container["name"] == "gateway":
            del container["livenessProbe"]
            container["readinessProbe"] = PROBE
        else:
            container["command"] = ["sleep", "infinity"]
    for container in pod.get("initContainers", ()):
        container |= {"image": NAMES[OLD], "command": ["true"]}
    fleet.name = found["Deployment"]["metadata"]["name"]
    await _secrets(fleet)
    return found


async def _secrets(fleet: Fleet) -> None:
    """Create what each of the three recordings refers to: license, credentials, node.properties."""
    for name in ("ssg", "my-gateway-secret"):
        await fleet.secret(name, SSG_DATABASE_USER=USER, SSG_DATABASE_PASSWORD=PASSWORD)
    await fleet.secret("gateway-license", **{"license.xml": "<license/>"})
    await fleet.secret("my-gateway-license", license="<license/>")
    properties = {
        "l7.mysql.connection.url": fleet.url,
        "node.db.config.main.user": USER,
        "node.db.config.main.pass": PASSWORD,
    }
    lines = "".join(f"{name}={value}\n" for name, value in properties.items())
    await fleet.secret("edge-node-properties", **{"node.properties": lines})
    for name in ("ssg", "edge"):
        await fleet.world.create(
            {
                "kind": "ConfigMap",
                "metadata": {"name": f"{name}-repository-init-config"},
                "data": {"config.json": "{}"},
            }
        )
