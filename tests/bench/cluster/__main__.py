"""``python -m tests.bench.cluster``: what the product costs a real API server, and how fast it is on one.

Figures are printed and written, never asserted: machines are shared and noisy. Each names the aim beside it.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.cluster import figures, fleet, latency
from tests.controlplane.arguments import free_ports
from tests.controlplane.client import Client, until
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.objects import install, stock
from tests.live.installation import Installation, Replica

RECORDS, MIGRATIONS, IDLE_SECONDS = 1000, 40, 60.0
AT_REST, MOVING = "bench-rest", "bench-moving"


def memory(replica: Replica) -> dict[str, float]:
    """Give resident memory now and at its highest, in MiB."""
    text = Path(f"/proc/{replica.component.pid}/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in text.splitlines() if line.startswith(("VmRSS", "VmHWM")))
    return {name: int(value.split()[0]) / 1024 for name, value in lines.items()}


async def known(admin: Client, names: list[str]) -> None:
    """Wait until all records of the fleet at rest are complete."""

    async def there() -> bool:
        found = await fleet.phases(admin, AT_REST)
        return all(found.get(name, ("",))[0] == "Disabled" for name in names)

    await until(there, 300, "all records are settled")


async def sync(admin: Client, installed: Installation, port: int) -> dict[str, Any]:
    """Let fresh processes get to know a thousand Gateways that are at rest."""
    names = [f"gw-{number:04}" for number in range(RECORDS)]
    await fleet.make_namespace(admin, AT_REST)
    await fleet.make_gateways(admin, AT_REST, names, replicas=0, image=fleet.AGED)
    first = await asyncio.to_thread(installed.start, "controller")
    await fleet.guard(admin, AT_REST, names)
    await known(admin, names)
    first.component.stop()
    started = time.perf_counter()
    webhook = await asyncio.to_thread(installed.start, "webhook", port=port)
    webhook_ready = time.perf_counter() - started
    position, started = installed.plane.audit_position(), time.perf_counter()
    controller = await asyncio.to_thread(installed.start, "controller")
    ready = time.perf_counter() - started
    marker = f"/apis/schemagate.io/v1alpha1/namespaces/{AT_REST}/gatewaymigrations/{names[0]}"
    await until(lambda: _leads(controller), 60, "the controller leads and has looked at everything")
    return {
        "marker": marker,
        "controller_ready_s": ready,
        "looked_at_all_s": time.perf_counter() - started,
        "webhook_ready_s": webhook_ready,
        "requests": dict(figures.calls(figures.by(installed.plane.audit_events(position), "controller"))),
        "controller": controller,
        "webhook": webhook,
    }


async def _leads(controller: Replica) -> bool:
    text = await asyncio.to_thread(controller.metrics)
    counts = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return float(counts.get("schemagate_reconcile_duration_seconds_count", 0)) >= RECORDS


async def idle(installed: Installation) -> dict[str, Any]:
    """Count what is asked when nothing happens."""
    position = installed.plane.audit_position()
    await asyncio.sleep(IDLE_SECONDS)
    events = installed.plane.audit_events(position)
    asked = {role: figures.calls(figures.by(events, role)) for role in ("controller", "webhook")}
    return {
        role: {"per_s": sum(seen.values()) / IDLE_SECONDS, "calls": dict(seen)} for role, seen in asked.items()
    }


async def migrate(admin: Client, installed: Installation) -> dict[str, Any]:
    """Migrate some Gateways, one alone first."""
    names = [f"mv-{number:03}" for number in range(MIGRATIONS)]
    await fleet.make_namespace(admin, MOVING)
    await fleet.make_gateways(admin, MOVING, names, replicas=1, image=fleet.OLD)

    async def adopted() -> bool:
        found = await fleet.phases(admin, MOVING)
        return all(found.get(name, ("",))[0] == "Complete" for name in names)

    deployments = fleet.paths(MOVING)["Deployment"]

    async def running() -> bool:
        found = await admin.items(deployments)
        return bool(sum(item.get("status", {}).get("availableReplicas", 0) for item in found) == len(names))

    await until(running, 300, "the fleet runs")
    await fleet.guard(admin, MOVING, names)
    await until(adopted, 60, "the fleet is adopted")
    position = installed.plane.audit_position()
    await _to(admin, names[:1])
    alone = figures.calls(figures.by(installed.plane.audit_events(position), "controller"))
    await _to(admin, names[1:])
    waited = figures.waits(installed.plane.audit_events(position), MOVING)
    return {"calls": dict(alone), "waits_s": waited}


async def _to(admin: Client, names: list[str]) -> None:
    """Announce the new image for Gateways, and wait until all are migrated."""
    gateways = fleet.paths(MOVING)["Gateway"]
    patch = {"spec": {"app": {"image": fleet.NEW}}}
    await fleet.every([lambda name=name: admin.patch(f"{gateways}/{name}", patch) for name in names])  # type: ignore[misc]

    async def done() -> bool:
        found = await fleet.phases(admin, MOVING)
        return all(found[name] == ("Complete", fleet.NEW) for name in names)

    await until(done, 300, "all are migrated")


async def updates(admin: Client, installed: Installation, port: int, webhook: Replica) -> dict[str, Any]:
    """Compare updates with and without the webhooks."""
    plain = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "plain"}}
    labels = {"app": "plain"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    path = f"/apis/apps/v1/namespaces/{AT_REST}/deployments"
    await admin.post(path, {**plain, "spec": spec})

    async def judged() -> float:
        text = await asyncio.to_thread(webhook.metrics)
        lines = [line for line in text.splitlines() if line.startswith("schemagate_admission_requests_total")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    async def register() -> None:
        await installed.apply(admin, webhook_port=port)

    seen = await latency.compare(
        admin, register, judged, {"governed": f"{path}/gw-0000", "unrelated": f"{path}/plain"}
    )
    before = await judged()
    await latency._updates(admin, f"{path}/plain")
    return {
        "unrelated_calls": await judged() - before,
        "ms": {
            case: {"without": figures.middle(without) * 1e3, "with": figures.middle(with_) * 1e3}
            for case, (without, with_) in seen.items()
        },
    }


async def measure(folder: Path) -> dict[str, Any]:
    """Run everything on one control plane."""
    plane = ControlPlane(folder)
    await asyncio.to_thread(plane.start)
    installed = Installation(plane)
    (port,) = free_ports(1)
    try:
        async with Client(plane.api_url, plane.client_context) as admin:
            await install(admin, stock())
            await installed.apply(admin)
            synced = await sync(admin, installed, port)
            controller, webhook = synced.pop("controller"), synced.pop("webhook")
            synced.pop("marker")
            known_memory = {"controller": memory(controller), "webhook": memory(webhook)}
            idled = await idle(installed)
            moved = await migrate(admin, installed)
            await installed.apply(admin, webhook_port=port)
            updated = await updates(admin, installed, port, webhook)
            return {
                "sync": synced,
                "memory_mib": known_memory,
                "idle": idled,
                "migration": moved,
                "updates": updated,
                "memory_end_mib": {"controller": memory(controller), "webhook": memory(webhook)},
            }
    finally:
        installed.stop()
        plane.stop()


def show(found: dict[str, Any]) -> None:
    """Print the figures with their aims."""
    sync_, waited = found["sync"], found["migration"]["waits_s"]
    print(
        f"{RECORDS} records: controller ready {sync_['controller_ready_s']:.1f} s after its start, all looked at "
        f"{sync_['looked_at_all_s']:.1f} s (aim: 10); webhook ready {sync_['webhook_ready_s']:.1f} s"
    )
    for role, sizes in found["memory_mib"].items():
        print(f"{role}: {sizes['VmRSS']:.0f} MiB resident, {sizes['VmHWM']:.0f} at most (aim: 250)")
    for role, asked in found["idle"].items():
        print(f"{role} at rest: {asked['per_s']:.2f} requests/s (aim: 0.5) {asked['calls']}")
    calls = found["migration"]["calls"]
    print(f"a migration: {sum(calls.values())} calls (aim: 15) {calls}")
    print(
        f"Job complete to gate open: p50 {figures.quantile(waited, 0.5):.3f} s, p99 "
        f"{figures.quantile(waited, 0.99):.3f} s of {len(waited)} (aim: p99 1 s)"
    )
    for case, times in found["updates"]["ms"].items():
        print(
            f"{case} update: {times['without']:.1f} ms without webhooks, {times['with']:.1f} with: "
            f"{times['with'] / times['without']:.2f} x, {times['with'] - times['without']:+.1f} ms"
        )
    print(f"calls for unrelated updates: {found['updates']['unrelated_calls']:.0f} (aim: 0)")


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, help="where to write the figures as JSON")
    given = options.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory(prefix="schemagate-bench-") as folder:
        found = asyncio.run(measure(Path(folder) / "plane"))
    show(found)
    if given.output:
        given.output.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"figures written to {given.output}")


if __name__ == "__main__":
    main()
