"""What the counters say about requests that a real Envoy has served, by way of a real store."""

import math
from datetime import timedelta

import pytest

from adapters.prometheus.counters import connect
from domain.evidence.counters import SeriesRole
from domain.gates import Source
from domain.traffic import Place
from tests.cluster.builders import route_in
from tests.metrics.gateway import routed
from tests.metrics.servers import until

WINDOW = timedelta(minutes=1)


@pytest.fixture
async def counters(prometheus_server):
    async with connect(prometheus_server.url) as source:
        yield source


def total(series, role, bound_ms=None):
    return sum(one.samples[-1][1] for one in series if (one.role, one.bound_ms) == (role, bound_ms))


async def seen(counters, route, *, slot_0, slot_1, timed=None):
    """Wait until the store has counted these many answers per slot, and give the reading.

    Envoy merges its histograms some seconds later: whoever asks for times waits for `timed`, too.
    """

    async def look():
        reading = await counters.read(
            route,
            Source.ENVOY,
            candidate=Place(position=1),
            stable=Place(position=0),
            window=WINDOW,
        )
        counted = (
            total(reading.stable, SeriesRole.REQUESTS),
            total(reading.candidate, SeriesRole.REQUESTS),
        )
        times = (
            total(reading.stable, SeriesRole.BUCKET, math.inf),
            total(reading.candidate, SeriesRole.BUCKET, math.inf),
        )
        return reading if counted == (slot_0, slot_1) and timed in (None, times) else None

    return await until(look, f"{slot_0} and {slot_1} answers")


async def test_requests_errors_and_times_are_told_apart_by_slot(counters, envoy_server, request):
    route = route_in("counted")
    async with routed(envoy_server, route) as traffic:
        await traffic.send(0, 7)
        await traffic.send(1, 3)
        await traffic.send(1, 2, x_behave="error")
        await traffic.send(1, 1, x_behave="client-error")
        reading = await seen(counters, route, slot_0=7, slot_1=6, timed=(7, 6))
    assert total(reading.stable, SeriesRole.ERRORS) == 0
    assert total(reading.candidate, SeriesRole.ERRORS) == 2
    assert total(reading.stable, SeriesRole.BUCKET, math.inf) == 7
    assert total(reading.candidate, SeriesRole.BUCKET, math.inf) == 6
    bounds = {one.bound_ms for one in reading.stable if one.role is SeriesRole.BUCKET}
    assert {0.5, 1, 250, 60000, math.inf} <= bounds


async def test_a_timeout_is_one_error_of_one_request(counters, envoy_server):
    route = route_in("timed-out")
    async with routed(envoy_server, route) as traffic:
        await traffic.send(0, 1)
        await traffic.send(1, 2, x_behave="slow")
        reading = await seen(counters, route, slot_0=1, slot_1=2)
    assert total(reading.candidate, SeriesRole.ERRORS) == 2


async def test_a_server_that_is_gone_answers_errors(counters, envoy_server):
    route = route_in("gone")
    async with routed(envoy_server, route, dead=1) as traffic:
        await traffic.send(0, 1)
        await traffic.send(1, 2)
        reading = await seen(counters, route, slot_0=1, slot_1=2)
    assert total(reading.candidate, SeriesRole.ERRORS) == 2


async def test_an_error_that_a_retry_hides_counts_with_its_answer(counters, envoy_server):
    route = route_in("retried")
    async with routed(envoy_server, route) as traffic:
        await traffic.send(0, 1)
        await traffic.send(1, 3, x_behave="flaky", x_retry="1")
        reading = await seen(counters, route, slot_0=1, slot_1=6)
    assert total(reading.candidate, SeriesRole.ERRORS) == 3


async def test_a_route_without_traffic_has_no_series(counters):
    route = route_in("never-served")
    reading = await counters.read(
        route, Source.ENVOY, candidate=Place(position=1), stable=Place(position=0), window=WINDOW
    )
    assert (reading.candidate, reading.stable) == ((), ())


async def test_a_series_keeps_its_key_from_look_to_look(counters, envoy_server):
    route = route_in("looked-at-twice")
    async with routed(envoy_server, route) as traffic:
        await traffic.send(0, 1)
        await traffic.send(1, 1)
        first = await seen(counters, route, slot_0=1, slot_1=1)
        await traffic.send(1, 1)
        second = await seen(counters, route, slot_0=1, slot_1=2)
    keys = [{one.key for one in (*it.candidate, *it.stable)} for it in (first, second)]
    assert keys[0] == keys[1]
    assert len(keys[0]) == len(first.candidate) + len(first.stable)
