"""One stand-in for all tests of this folder; each test gets a namespace of its own in it."""

import itertools

import pytest

from sandbox.kube.server import serving
from tests.sandbox.kube.client import connected
from tests.sandbox.kube.objects import Place

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def kube_server():
    async with serving() as server:
        yield server


@pytest.fixture(scope="session")
async def kube(kube_server):
    """A plain HTTP client of the stand-in."""
    async with connected(kube_server.url) as client:
        yield client


@pytest.fixture
async def place(kube):
    """The paths of a new namespace."""
    name = f"test-{next(_numbers)}"
    reply = await kube.post("/api/v1/namespaces", {"metadata": {"name": name}})
    assert reply.code == 201
    return Place(name)
