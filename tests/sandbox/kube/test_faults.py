"""The fault switch: an API server that fails or falls silent, while the switch stays at hand."""

import asyncio
from contextlib import AsyncExitStack

import aiohttp
import pytest

from sandbox.kube.server import serving
from tests.sandbox.kube.client import connected
from tests.sandbox.kube.objects import Place, configmap, isvc

SWITCH = "/sandbox/faults"
DEFAULT = Place("default")


@pytest.fixture
async def kube():
    """A stand-in of its own: a fault would hit every test."""
    async with serving() as server, connected(server.url) as client:
        yield client


async def test_calls_under_the_prefix_fail_and_others_do_not(kube):
    shown = await kube.put(SWITCH, {"mode": "error", "seconds": 60, "path_prefix": "/apis/serving"})

    failed = await kube.post(DEFAULT.isvcs(), isvc("a"))
    fine = await kube.post(DEFAULT.configmaps(), configmap("a"))

    assert shown.body["mode"] == "error"
    assert (failed.code, failed.body["reason"]) == (500, "InternalError")
    assert fine.code == 201


async def test_without_a_prefix_everything_fails_but_the_switch(kube):
    await kube.put(SWITCH, {"mode": "error", "seconds": 60})

    assert (await kube.get("/readyz")).code == 500
    assert (await kube.get(SWITCH)).body["mode"] == "error"
    assert (await kube.delete(SWITCH)).body == {"mode": "none"}
    assert (await kube.get("/readyz")).code == 200


async def test_a_fault_ends_by_itself(kube):
    await kube.put(SWITCH, {"mode": "error", "seconds": 0.05})

    async with asyncio.timeout(5):
        while (await kube.get("/readyz")).code != 200:  # noqa: ASYNC110  # what is waited for is remote
            await asyncio.sleep(0.01)

    assert (await kube.get(SWITCH)).body == {"mode": "none"}


async def test_a_hanging_call_is_never_answered_and_never_carried_out(kube):
    await kube.put(SWITCH, {"mode": "hang", "seconds": 60, "path_prefix": "/api/"})
    written = asyncio.create_task(kube.post(DEFAULT.configmaps(), configmap("a")))

    done, _ = await asyncio.wait({written}, timeout=0.2)
    await kube.put(SWITCH, {"mode": "none"})

    assert done == set()
    with pytest.raises(aiohttp.ClientError):
        await written
    assert (await kube.get(DEFAULT.configmaps("a"))).code == 404


async def test_a_watch_falls_silent_while_calls_hang_and_then_misses_nothing(kube):
    async with kube.watch(DEFAULT.configmaps(), resourceVersion="1") as events:
        await kube.put(SWITCH, {"mode": "hang", "seconds": 60, "path_prefix": DEFAULT.configmaps()})
        seen = asyncio.ensure_future(anext(events))
        # The same collection by a path that the prefix does not cover.
        await kube.post("/api/v1//namespaces/default/configmaps", configmap("a"))
        done, _ = await asyncio.wait({seen}, timeout=0.2)
        await kube.delete(SWITCH)

        kind, body = await seen

    assert done == set()
    assert (kind, body["metadata"]["name"]) == ("ADDED", "a")


async def test_a_watch_ends_when_calls_begin_to_fail(kube):
    async with kube.watch(DEFAULT.configmaps(), seconds=60, resourceVersion="1") as events:
        await kube.put(SWITCH, {"mode": "error", "seconds": 60})

        async with asyncio.timeout(5):
            assert [event async for event in events] == []


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        [],
        {"mode": "sometimes", "seconds": 1},
        {"mode": "error"},
        {"mode": "error", "seconds": 0},
        {"mode": "error", "seconds": "1"},
        {"mode": "hang", "seconds": 1, "path_prefix": "apis"},
    ],
)
async def test_a_switch_that_makes_no_sense_is_a_bad_request(kube, wanted):
    assert (await kube.put(SWITCH, wanted)).code == 400


async def test_a_server_ends_while_calls_hang():
    async with AsyncExitStack() as clients:
        async with serving() as server:
            kube = await clients.enter_async_context(connected(server.url))
            await kube.put(SWITCH, {"mode": "hang", "seconds": 600})
            hanging = asyncio.create_task(kube.get("/readyz"))
            await asyncio.sleep(0.05)

        with pytest.raises(aiohttp.ClientError):
            await hanging
