"""The tests of the control plane use the fixtures that they are about."""

from tests.controlplane.fixtures import admin, control_plane, namespace

__all__ = ["admin", "control_plane", "namespace"]
