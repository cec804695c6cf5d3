"""The load generator: its rate, its counts, its timeline, and whom it will not ask."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from sandbox.load import GATEWAY, Load, NotLocal, Timeline, report


@asynccontextmanager
async def upstream(handler):
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.0.0.1:80", "http://127.0.0.1.example.com", "nothing"]
)
def test_only_this_machine_is_asked(url):
    with pytest.raises(NotLocal):
        Load(url, "chat", 1)


async def test_answers_are_counted_by_variant_and_status():
    asked, enough = [], asyncio.Event()

    async def answer(request):
        asked.append(await request.json())
        number = len(asked)
        if number == 100:
            enough.set()
        if number % 4 == 0:
            return web.Response(status=503)
        served_by = "v2" if number % 4 == 1 else "v1"
        return web.Response(status=200, headers={"x-served-by": served_by})

    async with upstream(answer) as url, Load(url, "chat", 400) as load:
        await enough.wait()

    total = len(asked)
    counts = load.counts()
    assert sum(counts.values()) == total == len(load.timeline)
    assert counts[GATEWAY, "5xx"] == total // 4
    assert counts["v1", "2xx"] == sum(n % 4 in (2, 3) for n in range(1, total + 1))
    assert asked[0]["model"] == "chat"


async def test_slow_answers_do_not_slow_the_load():
    release, under_way = asyncio.Event(), []

    async def answer(_):
        under_way.append(1)
        if len(under_way) == 30:
            release.set()
        # A closed loop would wait here for ever: the first answer waits for the thirtieth request.
        await release.wait()
        return web.Response(headers={"x-served-by": "slow"})

    async with upstream(answer) as url, Load(url, "chat", 100) as load:
        await release.wait()

    assert load.counts()["slow", "2xx"] >= 30


async def test_what_cannot_be_sent_in_time_is_counted_as_skipped():
    async def answer(_):
        await asyncio.sleep(0.3)
        return web.Response()

    async with upstream(answer) as url, Load(url, "chat", 200, concurrency=2) as load:
        await asyncio.sleep(0.25)

    assert load.skipped > 0
    assert len(load.timeline) == 2


async def test_a_server_that_is_not_there_is_no_answer():
    async with Load("http://127.0.0.1:1", "chat", 100) as load:
        await asyncio.sleep(0.1)

    assert set(load.counts()) == {(GATEWAY, "none")}
    assert load.timeline.quantile(0.5) is None


def test_the_timeline_tells_what_came_after_a_position():
    timeline = Timeline()
    timeline.add(1.0, 0.010, "v1", 200)
    start = len(timeline)
    timeline.add(2.0, 0.020, "v2", 500)
    timeline.add(3.0, 0.030, "v2", 200)

    assert [(one.sent_at, one.variant, one.status) for one in timeline.outcomes(start)] == [
        (2.0, "v2", 500),
        (3.0, "v2", 200),
    ]
    assert timeline.counts(start) == {("v2", "5xx"): 1, ("v2", "2xx"): 1}
    assert timeline.quantile(0.5, "nobody") is None


def test_the_report_has_a_line_for_each_variant():
    load = Load("http://127.0.0.1:1", "chat", 1)
    load.timeline.add(1.0, 0.010, "v1", 200)
    load.timeline.add(1.0, 0.010, GATEWAY, 404)
    text = report(load).splitlines()
    assert text[1].split()[:5] == [GATEWAY, "0", "1", "0", "0"]
    assert text[2].split()[:5] == ["v1", "1", "0", "0", "0"]
