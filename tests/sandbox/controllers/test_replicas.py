"""An InferenceService's replicas as model servers: each gets its share, and none is lost."""

import json
import signal
from functools import partial

import psutil
import pytest

from sandbox.controllers.resources import ENDPOINT_SLICES, INFERENCE_SERVICES
from sandbox.family import is_alive
from sandbox.load import Load
from tests.sandbox.controllers.world import eventually

FAST = "sim://chat?latency_ms=1"


async def served(world, uri=FAST):
    await world.deploy("chat", uri)
    await world.ready("chat")


async def scale(world, replicas):
    change = {"spec": {"predictor": {"minReplicas": replicas}}}
    await world.cluster.merge(INFERENCE_SERVICES, world.key("chat"), change)


async def copies(world):
    status = (await world.service("chat"))["status"]
    return status["modelStatus"]["copies"]["totalCopies"]


async def has(world, replicas):
    return await copies(world) == replicas and await world.is_ready("chat")


async def scaled(world, replicas):
    await scale(world, replicas)
    await eventually(lambda: has(world, replicas), f"{replicas} replicas are ready")


def servers(world):
    """The processes by replica."""
    records = world.homes.state.glob(f"{world.namespace}.chat.*.json")
    known = [json.loads(record.read_text()) for record in records]
    return {one["launch"]["replica"]: psutil.Process(one["process"]["pid"]) for one in known}


def addresses(world):
    """Where Prometheus finds them."""
    target = world.homes.targets / f"{world.namespace}.chat.json"
    return json.loads(target.read_text())[0]["targets"]


async def endpoints(world):
    listed, _ = await world.cluster.list(ENDPOINT_SLICES)
    labelled = {"kubernetes.io/service-name": "chat-predictor"}
    return [
        piece
        for piece in listed
        if piece["metadata"]["namespace"] == world.namespace
        and labelled.items() <= piece["metadata"]["labels"].items()
    ]


async def have_all_answered(world):
    for address in addresses(world):
        async with world.http.get(f"http://{address}/metrics") as response:
            if 'handler="/v1/chat/completions"' not in await response.text():
                return False
    return True


async def test_each_replica_is_a_server_that_gets_its_share(world):
    await served(world)
    await world.connect("chat")
    await world.add_route("chat", world.namespace, {"chat": 100})
    await world.in_force("chat")
    first = servers(world)[0]

    async with Load(world.envoy.url, world.namespace, 200) as growing:
        await scaled(world, 3)
        assert len(addresses(world)) == 3
        await eventually(lambda: have_all_answered(world), "all three have answered")
    assert servers(world)[0] == first

    async with Load(world.envoy.url, world.namespace, 200) as shrinking:
        await scaled(world, 1)
        await eventually(lambda: list(servers(world)) == [0], "the others have drained")
    assert servers(world)[0] == first
    assert len(await endpoints(world)) == len(addresses(world)) == 1
    for load in (growing, shrinking):
        assert set(load.counts()) == {("chat", "2xx")}


async def test_who_is_scaled_up_is_not_ready_until_those_that_join_are(world):
    await served(world, "sim://chat?load_seconds=1")
    await scale(world, 2)

    async def is_not():
        return not await world.is_true("chat", "PredictorReady")

    await eventually(is_not)
    assert await copies(world) == 1
    await eventually(lambda: has(world, 2))


async def test_a_replica_that_crashes_is_started_again_alone(world):
    await served(world)
    await scaled(world, 2)
    before = servers(world)
    before[1].send_signal(signal.SIGKILL)

    await eventually(lambda: servers(world).get(1, before[1]) != before[1])
    await eventually(lambda: has(world, 2))
    assert servers(world)[0] == before[0]


async def test_all_replicas_end_with_their_service(world):
    await served(world)
    await scaled(world, 2)
    before = servers(world)

    await world.cluster.delete(INFERENCE_SERVICES, world.key("chat"))
    await eventually(lambda: not any(map(is_alive, before.values())))
    assert not await endpoints(world)
    assert not list(world.homes.state.glob(f"{world.namespace}.*.json"))


async def test_more_replicas_than_a_laptop_holds_are_refused_and_the_present_ones_serve_on(world):
    await served(world)
    await scale(world, 9)

    async def invalid():
        model = (await world.service("chat"))["status"]["modelStatus"]
        return model["transitionStatus"] == "InvalidSpec" and model["lastFailureInfo"]

    assert "8 replicas at most, not 9" in (await eventually(invalid))["message"]
    assert list(servers(world)) == [0]
    assert is_alive(servers(world)[0])
    await scaled(world, 8)


@pytest.mark.parametrize("wanted", [2, 4])
async def test_controllers_find_replicas_again_and_put_their_number_right(stopped_world, wanted):
    world = stopped_world
    async with world.running() as first:
        await served(world)
        await scaled(world, 3)
        before = servers(world)
        first.signal(signal.SIGKILL)
        await first.exited()
        await scale(world, wanted)
        async with world.running():
            await eventually(partial(has, world, wanted))
            await eventually(lambda: sorted(servers(world)) == list(range(wanted)))
            stayed = servers(world)
            assert [stayed[i] for i in range(min(3, wanted))] == [
                before[i] for i in range(min(3, wanted))
            ]
