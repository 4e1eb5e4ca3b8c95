"""What an update costs its client with our webhooks beside without, in turn in one run."""

import time
from collections.abc import Awaitable, Callable, Sequence

from tests.controlplane.client import STRATEGIC, Client, until

ROUNDS, UPDATES = 4, 60
HOOKS = "/apis/admissionregistration.k8s.io/v1"
NAMES = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")


async def compare(
    admin: Client,
    register: Callable[[], Awaitable[None]],
    judged: Callable[[], Awaitable[float]],
    paths: dict[str, str],
) -> dict[str, tuple[list[float], list[float]]]:
    """Give, by case, the seconds of updates without webhooks and with them. ``paths`` are Deployments.

    ``judged`` counts what our replica was asked so far: a change of the registration takes effect a moment later.
    """
    seen: dict[str, tuple[list[float], list[float]]] = {case: ([], []) for case in paths}
    probe = next(iter(paths.values()))
    for _ in range(ROUNDS):
        for plural in NAMES:
            await admin.delete(f"{HOOKS}/{plural}/schemagate")
        await until(lambda: _unasked(admin, probe, judged), what="nobody asks any more")
        for case, path in paths.items():
            seen[case][0].extend(await _updates(admin, path))
        await register()
        await until(lambda: _asked(admin, probe, judged), what="the webhooks are asked")
        for case, path in paths.items():
            seen[case][1].extend(await _updates(admin, path))
    return seen


async def _asked(admin: Client, path: str, judged: Callable[[], Awaitable[float]]) -> bool:
    before = await judged()
    await _updates(admin, path, 1)
    return await judged() > before


async def _unasked(admin: Client, path: str, judged: Callable[[], Awaitable[float]]) -> bool:
    return not await _asked(admin, path, judged)


async def _updates(admin: Client, path: str, count: int = UPDATES) -> Sequence[float]:
    """Update the pod template of a Deployment as a dry run, one after the other."""
    seconds = []
    for number in range(count):
        patch = {"spec": {"template": {"metadata": {"annotations": {"bench": str(number)}}}}}
        started = time.perf_counter()
        await admin.patch(path, patch, STRATEGIC, dryRun="All")
        seconds.append(time.perf_counter() - started)
    return seconds
