"""A rollout's history: paged, and as a stream that ends with it."""

import asyncio
from uuid import UUID

import pytest

from api.stream import told
from domain.errors import Unreachable
from domain.rollout import EventKind, Phase
from tests.api.caller import PREFIX, canary
from tests.api.staging import tell


@pytest.fixture
async def rollout(api):
    ids = await api.served()
    made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"]))
    return made["id"]


async def test_events_are_listed_in_order_and_continued(api, rollout, registry):
    sent = [await tell(registry, rollout, EventKind.DECIDED, str(i)) for i in range(5)]
    first = (await api.get(f"/rollouts/{rollout}/events?limit=3")).json()
    assert [e["message"] for e in first["items"]] == ["0", "1", "2"]
    assert first["next_after"] == sent[2].id
    rest = (await api.get(f"/rollouts/{rollout}/events?after={sent[2].id}&limit=3")).json()
    assert [e["message"] for e in rest["items"]] == ["3", "4"]
    assert rest["next_after"] is None


async def test_a_page_that_ends_with_the_last_event_is_the_last(api, rollout, registry):
    for i in range(3):
        await tell(registry, rollout, EventKind.DECIDED, str(i))
    page = (await api.get(f"/rollouts/{rollout}/events?limit=3")).json()
    assert [e["message"] for e in page["items"]] == ["0", "1", "2"]
    assert page["next_after"] is None


@pytest.mark.parametrize(
    "how", [{"headers": {"Accept": "text/event-stream"}}, {"params": {"follow": "true"}}]
)
async def test_the_stream_tells_each_event_and_ends_with_the_last(api, rollout, registry, how):
    early = await tell(registry, rollout, EventKind.STARTED, "away we go")
    streaming = asyncio.create_task(api.get(f"/rollouts/{rollout}/events", **how))
    await asyncio.sleep(0)
    await tell(registry, rollout, EventKind.SETTLED, "10 %")
    last = await tell(registry, rollout, EventKind.ROLLED_BACK, "errors", Phase.ROLLED_BACK)
    answer = await streaming
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = _frames(answer.text)
    assert [f["event"] for f in frames] == ["started", "settled", "rolled_back"]
    assert (frames[0]["id"], frames[-1]["id"]) == (str(early.id), str(last.id))
    assert '"message":"10 %"' in frames[1]["data"]


async def test_a_stream_continues_behind_the_last_event_that_was_seen(api, rollout, registry):
    seen = await tell(registry, rollout, EventKind.STARTED)
    await tell(registry, rollout, EventKind.FAILED, "no", Phase.FAILED)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen.id)}
    answer = await api.get(f"/rollouts/{rollout}/events", headers=headers)
    assert [f["event"] for f in _frames(answer.text)] == ["failed"]


async def test_the_stream_of_an_ended_rollout_ends_at_once(api, rollout, registry):
    last = await tell(registry, rollout, EventKind.PROMOTED, "", Phase.PROMOTED)
    answer = await api.get(f"/rollouts/{rollout}/events?follow=true&after={last.id}")
    assert _frames(answer.text) == []


async def test_a_promotion_that_is_still_cleaning_up_is_not_the_end(api, rollout, registry):
    streaming = asyncio.create_task(api.get(f"/rollouts/{rollout}/events?follow=true"))
    await asyncio.sleep(0)
    await tell(registry, rollout, EventKind.PROMOTED, "", Phase.PROMOTING)
    await tell(registry, rollout, EventKind.RETIRED, "", Phase.PROMOTED)
    frames = _frames((await streaming).text)
    assert [f["event"] for f in frames] == ["promoted", "retired"]


async def test_silence_is_filled_with_heartbeats(api, rollout, registry):
    source = told(registry, *_ids(api, rollout), after=0, heartbeat_seconds=0.001)
    chunks = [await anext(source) for _ in range(4)]
    assert chunks[1:] == [b": still here\n\n"] * 3
    await source.aclose()


async def test_a_heartbeat_loses_no_event(api, rollout, registry):
    source = told(registry, *_ids(api, rollout), after=0, heartbeat_seconds=0.001)
    for _ in range(3):
        await anext(source)
    await tell(registry, rollout, EventKind.SETTLED, "at last")
    heard = b""
    while b"settled" not in heard:
        heard = await anext(source)
    assert b"at last" in heard
    await source.aclose()


async def test_an_outage_in_the_middle_ends_the_stream_cleanly(api, rollout, registry, outage):
    source = told(outage, *_ids(api, rollout), after=0, heartbeat_seconds=0.001)
    await anext(source)
    outage.error = Unreachable("gone")
    assert [chunk async for chunk in source][-1:] in ([], [b": still here\n\n"])


async def test_the_stream_stops_when_the_client_goes(app, api, rollout, registry, outage):
    await tell(registry, rollout, EventKind.STARTED)
    reached, gone = asyncio.Event(), asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if b"started" in message.get("body", b""):
            assert outage.followers == 1
            reached.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": f"{PREFIX}/rollouts/{rollout}/events",
        "raw_path": b"",
        "root_path": "",
        "scheme": "http",
        "query_string": b"follow=true",
        "headers": [(b"project-id", api.project.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("api.test", 80),
    }
    serving = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait_for(reached.wait(), 5)
    gone.set()
    await asyncio.wait_for(serving, 5)
    assert outage.followers == 0


def _ids(api, rollout):
    return UUID(api.project), UUID(rollout)


def _frames(text):
    """The events of a stream; comments and hints are left out."""
    blocks = [b for b in text.strip().split("\n\n") if b and not b.startswith(":")]
    frames = [dict(line.split(": ", 1) for line in b.split("\n")) for b in blocks]
    return [frame for frame in frames if "event" in frame]
