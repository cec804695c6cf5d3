"""Controllers that end and come back, and a Kubernetes API that fails: traffic goes on."""

import asyncio
import json
import signal

import psutil
import pytest

from sandbox.controllers.cluster import Cluster
from sandbox.controllers.resources import INFERENCE_SERVICES
from sandbox.family import is_alive
from sandbox.kube.server import serving
from sandbox.load import Load
from sandbox.process import running
from tests.sandbox.controllers.world import eventually

FAST = "sim://chat?latency_ms=1"


async def two_variants(world):
    await world.deploy("v1", FAST)
    await world.deploy("v2", FAST)
    await world.connect("v1", "v2")
    await world.ready("v1", "v2")
    await world.add_route("chat", "chat", {"v1": 100, "v2": 0})
    await world.in_force("chat")


def servers(world):
    records = [json.loads(path.read_text()) for path in world.homes.state.glob("*.json")]
    return {one["launch"]["name"]: psutil.Process(one["process"]["pid"]) for one in records}


async def test_killed_controllers_find_their_servers_again(stopped_world):
    world = stopped_world
    async with world.running() as first:
        await two_variants(world)
        before = servers(world)
        first.signal(signal.SIGKILL)
        await first.exited()
        async with world.running():
            async with Load(world.envoy.url, "chat", 200) as load:
                await world.weigh("chat", "chat", {"v1": 0, "v2": 100})
                await world.served_by("chat", "v2")
                await asyncio.sleep(0.5)
            assert servers(world) == before
        assert {kind for _, kind in load.counts()} == {"2xx"}
    assert not any(is_alive(server) for server in before.values())


async def test_controllers_end_their_servers_when_they_are_asked_to_end(stopped_world):
    async with stopped_world.running() as controllers:
        await two_variants(stopped_world)
        alive = servers(stopped_world)
        assert len(alive) == 2
        controllers.signal(signal.SIGTERM)
        assert await controllers.exited() == 0
        assert not any(is_alive(server) for server in alive.values())


async def test_controllers_leave_their_servers_when_told_to(stopped_world):
    async with stopped_world.running("--keep-model-servers") as controllers:
        await two_variants(stopped_world)
        alive = servers(stopped_world)
        controllers.signal(signal.SIGTERM)
        assert await controllers.exited() == 0
        assert all(is_alive(server) for server in alive.values())
        assert await stopped_world.ask("chat") == (200, "v1")


async def test_a_service_deleted_while_nobody_looked_is_cleaned_up(stopped_world):
    world = stopped_world
    async with world.running() as first:
        await world.deploy("v1", FAST)
        await world.ready("v1")
        server = servers(world)["v1"]
        first.signal(signal.SIGKILL)
        await first.exited()
        key = world.key("v1")
        stored = await world.service("v1")
        unheld = {**stored, "metadata": {**stored["metadata"], "finalizers": []}}
        await world.cluster.replace(INFERENCE_SERVICES, unheld)
        await world.cluster.delete(INFERENCE_SERVICES, key)
        async with world.running():
            await eventually(lambda: not is_alive(server))
            assert not list(world.homes.targets.glob("*.json"))


@pytest.mark.parametrize("mode", ["error", "hang"])
async def test_an_api_outage_is_waited_out(stopped_world, mode):
    world = stopped_world
    async with world.running():
        await two_variants(world)
        async with Load(world.envoy.url, "chat", 100) as load:
            await world.break_api(mode, 4)
            await asyncio.sleep(4.1)
            await world.weigh("chat", "chat", {"v1": 0, "v2": 100})
            await world.in_force("chat")
            await world.served_by("chat", "v2")
        assert {kind for _, kind in load.counts()} == {"2xx"}


async def test_an_outage_between_a_change_and_its_effect_only_delays_it(stopped_world):
    world = stopped_world
    async with world.running():
        await two_variants(world)
        url = f"{world.kube_url}/sandbox/faults"
        fault = {"mode": "error", "seconds": 3, "path_prefix": "/apis/gateway.networking.k8s.io"}
        async with world.http.put(url, json=fault) as response:
            assert response.status == 200
        await world.weigh("chat", "chat", {"v1": 0, "v2": 100})
        await asyncio.sleep(0.5)
        assert await world.ask("chat") == (200, "v1")
        await world.served_by("chat", "v2")


async def test_a_restarted_api_is_found_again(stopped_world, tmp_path):
    world = stopped_world
    state = tmp_path / "state.sqlite"
    async with serving(state_file=state) as kube:
        port = int(kube.url.rsplit(":", 1)[1])
        kube.write_kubeconfig(world.homes.kubeconfig)
        async with Cluster(kube.url) as cluster:
            world.cluster, world.kube_url = cluster, kube.url
            await world.add_namespace()
            controllers = world.running()
            await controllers.__aenter__()
            await two_variants(world)
    assert await world.ask("chat") == (200, "v1")
    async with serving(state_file=state, port=port) as kube, Cluster(kube.url) as cluster:
        world.cluster = cluster
        await world.weigh("chat", "chat", {"v1": 0, "v2": 100})
        await world.served_by("chat", "v2")
        await controllers.__aexit__(None, None, None)


async def test_an_envoy_that_starts_anew_obeys_what_was_in_force(stopped_world):
    world = stopped_world
    async with world.running():
        await two_variants(world)
        await world.weigh("chat", "chat", {"v1": 0, "v2": 100})
        await world.served_by("chat", "v2")
        await kill_envoy(world)
        async with running(world.envoy.spec(), log=world.homes.logs / "envoy.log"):
            assert await world.ask("chat") == (200, "v2")
            await world.weigh("chat", "chat", {"v1": 100, "v2": 0})
            await world.served_by("chat", "v1")


async def kill_envoy(world):
    bootstrap = str(world.envoy.directory / "bootstrap.json")
    children = psutil.Process().children()
    process = next(one for one in children if bootstrap in one.cmdline())
    process.kill()
    await eventually(lambda: not is_alive(process))
