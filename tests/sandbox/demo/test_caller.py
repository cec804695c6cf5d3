"""The caller against a server that plays the API's part on the wire, breaks included."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from sandbox.caller import PREFIX, Caller, CallFailed
from sandbox.ports import free_port

ROLLOUT = f"{PREFIX}/rollouts/r1"


async def test_events_go_on_where_the_connection_broke():
    asked = []

    async def stream(request):
        asked.append(request.headers["Last-Event-ID"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        if len(asked) == 1:
            await response.write(framed(1) + framed(2) + b"id: 3\nevent: settled\ndata: {")
            request.transport.close()
        else:
            await response.write(b": still here\n\n" + framed(3))
        return response

    async with api(stream) as caller:
        assert [event.id async for event in caller.events("r1")] == [1, 2, 3]
    assert asked == ["0", "2"]


async def test_a_stream_that_ends_before_the_rollout_does_is_asked_again():
    asked = []

    async def stream(request):
        asked.append(request.headers["Last-Event-ID"])
        return web.Response(body=framed(len(asked)), headers={"Content-Type": "text/event-stream"})

    async with api(stream, ended_after=lambda: len(asked) == 2) as caller:
        assert [event.id async for event in caller.events("r1")] == [1, 2]
    assert asked == ["0", "1"]


async def test_a_refused_stream_says_why():
    async def stream(request):
        return web.json_response(
            {"title": "no such rollout", "detail": "r1 is not here"}, status=404
        )

    async with api(stream) as caller:
        with pytest.raises(CallFailed, match="answered 404: r1 is not here"):
            await anext(caller.events("r1"))


async def test_an_item_is_found_on_whatever_page_it_is():
    async def listed(request):
        offset = int(request.query["offset"])
        items = [{"name": f"n{offset}"}]
        return web.json_response(
            {"items": items, "next_offset": offset + 1 if offset < 3 else None}
        )

    async with api(listed) as caller:
        assert await caller.find("/rollouts/r1/events", "n2") == {"name": "n2"}
        assert await caller.find("/rollouts/r1/events", "n9") is None


async def test_an_api_that_does_not_answer_is_named():
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port()}") as http:
        with pytest.raises(CallFailed, match="GET /rollouts: ConnectError"):
            await Caller(http).get("/rollouts")


def framed(number):
    event = {
        "id": number,
        "kind": "settled",
        "message": "well",
        "at": "2026-11-22T01:17:29.213123Z",
        "step": None,
        "data": {},
    }
    return f"id: {number}\nevent: settled\ndata: {json.dumps(event)}\n\n".encode()


@asynccontextmanager
async def api(events, *, ended_after=lambda: True):
    """`events` answers for the events; of the rollout it is said whether it has ended."""

    async def rollout(_):
        return web.json_response({"ended_at": "2026-11-22T01:17:39Z" if ended_after() else None})

    async def events_or_rest(request):
        if "limit" in request.query and "offset" not in request.query:
            return web.json_response({"items": []})
        return await events(request)

    application = web.Application()
    application.router.add_get(f"{ROLLOUT}/events", events_or_rest)
    application.router.add_get(ROLLOUT, rollout)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield Caller(http)
    finally:
        await runner.cleanup()
