"""A control plane that outlives the command that started it, written down in a folder."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.controlplane.cluster import ControlPlane
from tests.controlplane.processes import Component, Identity

STATE: Final = "state.json"


class StateError(Exception):
    """The folder is not what the command needs; the message says what to do."""


def up(folder: Path, more: Callable[[ControlPlane], Mapping[str, Component]] | None = None) -> Path:
    """Start a control plane in an empty or missing folder, write down its processes, give the kubeconfig.

    ``more`` starts what belongs to it, detached too, and gives that; what it raises ends the control plane.
    """
    folder = folder.absolute()
    if (folder / STATE).exists():
        raise StateError(f"{folder} holds a control plane already: end it with `down --state {folder}`")
    if folder.exists() and any(folder.iterdir()):
        raise StateError(f"{folder} holds other things, and `down` would remove them: give an empty folder")
    plane = ControlPlane(folder, detached=True)
    plane.start()
    try:
        components = {**plane.components, **(more(plane) if more else {})}
    except BaseException:
        plane.stop()
        raise
    processes = {name: asdict(component.identity) for name, component in components.items()}
    (folder / STATE).write_text(json.dumps({"processes": processes}, indent=2))
    return plane.admin_kubeconfig


def down(folder: Path) -> None:
    """End the processes that are written down, in reverse, if they are still the same ones; remove the folder."""
    try:
        state = json.loads((folder / STATE).read_text())
    except FileNotFoundError:
        raise StateError(f"{folder} holds no control plane: nothing was ended or removed") from None
    for process in reversed(state["processes"].values()):
        Identity(**process).end()
    shutil.rmtree(folder)
