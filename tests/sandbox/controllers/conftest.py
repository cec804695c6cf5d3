"""A whole platform per session, and fresh ones for tests that stop parts of it."""

import itertools
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.controllers.cluster import Cluster
from sandbox.kube.server import serving
from sandbox.servers import envoy
from tests.sandbox.controllers.world import Homes, World

_numbers = itertools.count(1)


@asynccontextmanager
async def platform():
    """The stand-in and Envoy, without controllers; gives a factory of worlds on them."""
    with tempfile.TemporaryDirectory(prefix="tidegate-platform-") as name:
        home = Path(name)
        homes = Homes(
            kubeconfig=home / "kubeconfig",
            state=home / "state",
            targets=home / "targets",
            logs=home / "logs",
        )
        async with serving() as kube, envoy.running(home / "envoy") as gateway:
            kube.write_kubeconfig(homes.kubeconfig)
            async with Cluster.from_kubeconfig(homes.kubeconfig) as cluster:
                world = World(cluster, gateway, kube.url, homes)
                yield world
                await world.close()


@pytest.fixture(scope="session")
async def shared_platform():
    async with platform() as world, world.running():
        yield world


@pytest.fixture
async def world(shared_platform):
    """A namespace of its own on the shared platform."""
    return await _in_new_namespace(shared_platform)


@pytest.fixture
async def stopped_world():
    """A platform of its own whose controllers the test starts."""
    async with platform() as world:
        yield await _in_new_namespace(world)


async def _in_new_namespace(world):
    fresh = world.within(f"test-{next(_numbers)}")
    await fresh.add_namespace()
    return fresh
