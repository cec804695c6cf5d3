"""The clients of both processes, built against real servers where something is asked at once."""

import asyncio

import httpx
import pytest
import yaml

from bootstrap.clients import api_clients, connect_temporal, worker_clients
from bootstrap.settings import Settings
from bootstrap.telemetry import worker_runtime
from domain.errors import InvalidSpec, NotFound, Unreachable
from domain.ports import Page
from sandbox.ports import free_ports
from tests.projects import a_project


@pytest.fixture
def settings(database_url, temporal_server, tmp_path):
    """A kubeconfig that leads nowhere: nothing asks the cluster while connecting."""
    (nobody, metrics) = free_ports(2)
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{nobody}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    document = {
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
        "current-context": "x",
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    return Settings(
        database_url=database_url,
        temporal_address=temporal_server.address,
        kubeconfig=kubeconfig,
        prometheus_url=f"http://127.0.0.1:{nobody}",
        worker_metrics_port=metrics,
    )


async def test_the_api_reads_and_the_worker_writes_the_same_registry(settings):
    project = a_project()
    async with api_clients(settings) as api, worker_clients(settings) as worker:
        await project.store(api.registry)
        rollout = await project.start(api.registry)
        assert [found.id for found in await worker.patrol.unfinished()] == [rollout.id]
        assert not await worker.runs.is_running(rollout.workflow_id)
        assert (await worker.evidence.load(rollout.id)).intervals == ()
        _, total = await api.registry.rollouts(project.id, Page(limit=1, offset=0))
        assert total == 1


async def test_the_cluster_is_asked_later_and_may_be_down(settings):
    async with worker_clients(settings) as worker:
        with pytest.raises(Unreachable):
            await worker.router.observe(a_project().plan.route)


async def test_a_kubeconfig_that_is_not_there_is_refused(settings, tmp_path):
    wrong = settings.model_copy(update={"kubeconfig": tmp_path / "absent"})
    with pytest.raises(InvalidSpec, match="kubeconfig"):
        async with worker_clients(wrong):
            pass


async def test_a_database_that_is_not_there_is_unreachable(settings):
    (nobody,) = free_ports(1)
    url = f"postgresql://tidegate@127.0.0.1:{nobody}/tidegate"
    wrong = Settings(**{**settings.model_dump(), "database_url": url})
    with pytest.raises(Unreachable):
        async with api_clients(wrong):
            pass


async def test_a_temporal_that_is_not_there_is_told_soon(settings):
    (nobody,) = free_ports(1)
    gone = settings.model_copy(update={"temporal_address": f"127.0.0.1:{nobody}"})
    async with api_clients(gone) as api, asyncio.timeout(10):
        with pytest.raises(RuntimeError):
            await api.temporal.count_workflows()


async def test_clients_are_closed_with_their_block(settings):
    async with api_clients(settings) as api:
        await api.registry.ready()
    with pytest.raises((Unreachable, NotFound)):
        await api.registry.ready()


async def test_a_worker_s_metrics_are_served(settings):
    runtime = worker_runtime(settings)
    client = await connect_temporal(settings, runtime=runtime)
    assert await client.service_client.check_health()
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{settings.worker_metrics_port}/metrics")).text
    assert "temporal_" in text
