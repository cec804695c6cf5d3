"""Fixtures to import into a conftest: one API server a session, one namespace a test."""

import itertools

import pytest

from adapters.kubernetes.client import connect
from sandbox.kube.server import serving
from tests.cluster.hands import Hands

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def kube():
    async with serving() as server:
        yield server


@pytest.fixture(scope="session")
async def kubeconfig(kube, tmp_path_factory):
    path = tmp_path_factory.mktemp("kube") / "kubeconfig"
    kube.write_kubeconfig(path)
    return path


@pytest.fixture(scope="session")
async def cluster(kubeconfig):
    async with connect(kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def hands(kube):
    async with Hands(kube.url) as somebody:
        yield somebody


@pytest.fixture
async def namespace(hands):
    name = f"team-{next(_numbers)}"
    await hands.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name
