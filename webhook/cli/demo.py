"""``schemagate demo``: the story of a Gateway upgrade, told and checked step by step."""

import asyncio
import json
import signal
import tempfile
from pathlib import Path
from shlex import quote

import click

from webhook.cli.sources import load_cluster
from webhook.cli.story import CHAPTERS, Story
from webhook.embedded.apiserver import EmbeddedApiServer, admission_review
from webhook.logs import configure_logging
from webhook.runtime.embedded import EmbeddedGate
from webhook.settings import Settings

SAMPLES = Path(__file__).parent.parent / "embedded" / "samples"


@click.command()
@click.option(
    "--keep", is_flag=True, help="Leave it serving afterwards, and print a curl line to try. Ctrl-C ends it."
)
def demo(*, keep: bool) -> int:
    """Play the upgrade of four Gateways over real HTTPS, on a cluster held in memory.

    One Gateway of each kind: the stock operator's, one of an operator with a migration Job of its own, the Helm
    chart's, and a plain Deployment. An API server is played that sends real AdmissionReviews to the real
    webhooks; the migration Jobs are ended on demand. Exits with 1 when a step comes out otherwise than told.
    """
    configure_logging("error")
    return asyncio.run(_demo(keep=keep))


async def _demo(*, keep: bool) -> int:
    # The story is the same everywhere: the environment has no say in it.
    settings = Settings.model_construct(port=0, ops_port=0, drain_seconds=0.0, decision_log="off")
    gate = EmbeddedGate(load_cluster([str(SAMPLES)]), settings)
    await gate.start()
    try:
        async with EmbeddedApiServer(gate.cluster, gate.url, gate.tls.client_context()) as api:
            story = Story(gate, api)
            for chapter in CHAPTERS:
                await story.tell(chapter)
        story.close()
        if keep:
            await _keep_serving(gate)
    finally:
        await gate.stop()
    return story.exit_code


async def _keep_serving(gate: EmbeddedGate) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="schemagate-demo-") as folder:
        authority, body = Path(folder) / "ca.pem", Path(folder) / "review.json"
        authority.write_bytes(gate.tls.authority_pem or b"")
        old = gate.cluster.get("Deployment", "team-h", "my-gateway")
        new = json.loads(json.dumps(old))
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/caapim/gateway:11.4.0"
        body.write_text(json.dumps(admission_review(new, old, user="helm")), encoding="utf-8")
        click.echo("\nStill serving; try it from another terminal, Ctrl-C ends it:")
        click.echo(
            f"  curl --cacert {quote(str(authority))} -H 'Content-Type: application/json' "
            f"--data @{quote(str(body))} "
            f"{gate.url}/validate-apps-v1-deployment"
        )
        click.echo(f"  curl http://127.0.0.1:{gate.ops.port}/metrics")
        await gate.run(stop)
