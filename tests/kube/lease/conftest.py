"""Fixtures of the elector's tests: virtual time, a server that keeps one Lease, a replica that leads."""

from collections.abc import Iterator

import pytest

from tests.kube.lease.leases import LeaseServer, Replica
from tests.support.virtual import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()
    assert not [error for loop in world.processes for error in loop.errors]


@pytest.fixture
def server(world: World) -> LeaseServer:
    return LeaseServer(world)


@pytest.fixture
def one(world: World, server: LeaseServer) -> Replica:
    """A replica that leads."""
    replica = Replica(world, server, "one").start()
    world.advance(1)
    assert replica.elector.held()
    return replica
