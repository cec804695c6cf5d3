"""A metrics store in every kind of trouble."""

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import web

from adapters.prometheus import client
from adapters.prometheus.counters import connect
from domain.errors import Refused, Unreachable
from domain.gates import Source
from domain.traffic import Place
from sandbox.ports import free_port
from tests.cluster.builders import route_in
from tests.metrics.servers import serving, until

NOTHING = {"status": "success", "data": {"resultType": "matrix", "result": []}}


def read(counters):
    window = timedelta(seconds=30)
    return counters.read(
        route_in("a"),
        Source.ENVOY,
        candidate=Place(position=1),
        stable=Place(position=0),
        window=window,
    )


def answering(status, body, calls):
    async def answer(request):
        calls.append(request.query)
        return web.Response(status=status, body=body)

    return answer


async def test_a_query_that_is_wrong_is_refused_with_what_the_store_says(prometheus_server):
    async with client.connect(prometheus_server.url) as store:
        with pytest.raises(Refused, match="parse error"):
            await store.samples("{__name__=~")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("vector(0.5)", "(0.5,)"),
        ("0.5", "(0.5,)"),
        ("vector(0) / 0", "(nan,)"),
        ("vector(-1) / 0", "(-inf,)"),
        ("vector(1) > 2", "()"),
        ('label_replace(vector(1), "a", "b", "", "") or vector(2)', "(1.0, 2.0)"),
    ],
)
async def test_an_answer_is_a_number_for_each_series_whatever_number(
    prometheus_server, query, numbers
):
    async with client.connect(prometheus_server.url) as store:
        assert repr(tuple(sorted(await store.answer(query)))) == numbers


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("sum(", "parse error"),
        ("'up'", "text"),
        ("up[1m]", "a range of samples"),
    ],
)
async def test_what_answers_no_numbers_is_refused(prometheus_server, query, what):
    async with client.connect(prometheus_server.url) as store:
        if "[" in query:  # a range of no series would say nothing
            await until(lambda: store.answer("up"), "a first scrape")
        with pytest.raises(Refused, match=what):
            await store.answer(query)


async def test_a_store_that_is_not_there_is_unreachable():
    async with connect(f"http://127.0.0.1:{free_port()}") as counters:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await read(counters)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
async def test_an_outage_is_told_at_once_and_not_retried_in_secret(status):
    calls: list[object] = []
    async with (
        serving(answering(status, b"overloaded", calls)) as address,
        connect(f"http://{address}/") as counters,
    ):
        with pytest.raises(Unreachable, match="overloaded"):
            await read(counters)
    assert len(calls) == 1


async def test_a_store_that_keeps_silent_is_unreachable():
    released = asyncio.Event()

    async def silent(request):
        await released.wait()
        return web.json_response(NOTHING)

    async with serving(silent) as address:
        patience = timedelta(milliseconds=200)
        async with connect(f"http://{address}", timeout=patience) as counters:
            with pytest.raises(Unreachable, match=r"(did not answer|timed out)"):
                await read(counters)
        released.set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"7",
        b'{"status": "success"}',
        b'{"data": null}',
        b'{"data": {"result": null}}',
        b'{"data": {"result": {"a": 1}}}',
        b"[" * 100_000,
    ],
)
async def test_nonsense_is_unreachable(body):
    async with (
        serving(answering(200, body, [])) as address,
        connect(f"http://{address}") as counters,
    ):
        with pytest.raises(Unreachable, match=r"(answered oddly|cannot be reached)"):
            await read(counters)


@pytest.mark.parametrize("le", ["often", "-1", "NaN", None])
async def test_a_bucket_without_a_bound_is_named(le):
    labels = {
        "__name__": "envoy_cluster_upstream_rq_time_bucket",
        "envoy_cluster_name": f"httproute/a/{route_in('a').name}/rule/0/backend/1",
        **({} if le is None else {"le": le}),
    }
    result = [{"metric": labels, "values": [[1, "2"]]}]
    body = json.dumps({"status": "success", "data": {"result": result}}).encode()
    async with (
        serving(answering(200, body, [])) as address,
        connect(f"http://{address}") as counters,
    ):
        with pytest.raises(Unreachable, match="_bucket"):
            await read(counters)


async def test_infos_and_series_that_were_not_asked_for_are_tolerated():
    result = [{"metric": {"__name__": "up"}, "values": [[1, "1"]]}]
    document = {"status": "success", "infos": ["by the way"], "data": {"result": result}}
    body = json.dumps(document).encode()
    async with (
        serving(answering(200, body, [])) as address,
        connect(f"http://{address}") as counters,
    ):
        reading = await read(counters)
    assert (reading.candidate, reading.stable) == ((), ())


async def test_an_answer_in_part_is_none():
    document = {**NOTHING, "warnings": ["store-2 did not answer"]}
    async with (
        serving(answering(200, json.dumps(document).encode(), [])) as address,
        connect(f"http://{address}") as counters,
    ):
        with pytest.raises(Unreachable, match="in part: store-2 did not answer"):
            await read(counters)


async def test_only_so_many_questions_are_asked_at_once():
    under_way, most = 0, 0

    async def slow(request):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return web.json_response(NOTHING)

    async with (
        serving(slow) as address,
        connect(f"http://{address}", concurrent_reads=2) as counters,
    ):
        await asyncio.gather(*(read(counters) for _ in range(8)))
    assert most == 2


async def test_headers_go_along_and_the_store_is_told_the_deadline():
    seen = []

    async def answer(request):
        seen.append((request.headers["Authorization"], request.query["timeout"]))
        return web.json_response(NOTHING)

    async with serving(answer) as address:
        headers = {"Authorization": "Bearer x"}
        async with connect(f"http://{address}", headers=headers) as counters:
            await read(counters)
    assert seen == [("Bearer x", "10s")]
