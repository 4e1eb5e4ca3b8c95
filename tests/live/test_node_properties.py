"""A Gateway that keeps its database in node.properties, which nobody here reads."""

from tests.live.installation import Replica
from tests.live.world import World, skips
from webhook.policy.names import JDBC_URL, MIGRATION_JOB, NODE_PROPERTIES_PATH

NEW = "registry.example.com/apim/gateway-enterprise:11.3.0-slow"


async def test_the_job_mounts_the_file_and_an_override_is_ignored_with_a_warning(
    world: World, controller: Replica
) -> None:
    asks = {MIGRATION_JOB: "enabled", JDBC_URL: "jdbc:mysql://elsewhere:3306/edge"}
    await world.operator_gateway("operator-gateway-node-properties", **asks)
    adopted = await world.reaches("Complete", "edge")
    assert adopted["jdbcUrl"] == "node.properties:edge-node-properties"

    await world.wants(NEW, "edge")
    running = await world.reaches("Running", "edge", NEW)
    assert running["jdbcUrl"] == "node.properties:edge-node-properties"
    await world.denial("edge", NEW)
    assert any("jdbcUrl of the record is ignored" in warning for warning in world.admin.warnings)

    (job,) = await world.jobs()
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["mountPath"] == NODE_PROPERTIES_PATH]
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "edge-node-properties"
    assert "SSG_DATABASE_JDBC_URL" not in {entry["name"] for entry in container["env"]}
    assert (pod["nodeSelector"], pod["imagePullSecrets"]) == (
        {"kubernetes.io/os": "linux"},
        [{"name": "regcred"}],
    )

    await world.finish()
    await world.reaches("Complete", "edge", NEW)
    await world.set_image("edge", NEW)
    await world.settled("edge")
    assert [skips(pod) for pod in await world.pods("edge")] == [True]
    assert len(await world.jobs()) == 1
