"""What every CounterSource does: the one for Prometheus, and the fake that stands in for it."""

import math
from datetime import timedelta

import pytest

from adapters.prometheus.counters import connect
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series, SeriesRole
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place
from domain.trial import RewardCounters
from sandbox.ports import free_port
from tests.cluster.builders import route_in
from tests.fakes.counters import ScriptedCounters
from tests.metrics.exporter import exporting
from tests.metrics.gateway import routed
from tests.metrics.servers import until

WINDOW = timedelta(minutes=1)
FIRST_TOKEN = Meter(source=Source.VLLM, counts="time_to_first_token")


class Real:
    """A gateway that has served each slot twice, once with an error at the candidate's."""

    def __init__(self, counters, unreachable):
        self.counters = counters
        self.unreachable = unreachable


@pytest.fixture(scope="module")
async def real(envoy_server, prometheus_server):
    async with (
        connect(prometheus_server.url) as counters,
        connect(f"http://127.0.0.1:{free_port()}") as unreachable,
        routed(envoy_server, route_in("contract")) as traffic,
    ):
        await traffic.send(0, 2)
        await traffic.send(1, 1)
        await traffic.send(1, 1, x_behave="error")

        async def counted():
            reading = await look(counters)
            return reading if both(reading) == (2, 2) else None

        await until(counted, "both answers of both slots")
        async with exporting(prometheus_server.targets_dir, "contract") as shop:
            shop.write(
                {
                    'offers_total{served_by="chat-v1"}': 20,
                    'orders_total{served_by="chat-v1"}': 3,
                    'offers_total{served_by="chat-v2"}': 10,
                    'offers_total{served_by="somebody else\'s"}': 99,
                    'odd_total{served_by="chat-v2"}': 99,
                    'vllm:time_to_first_token_seconds_bucket{model_name="chat-v1",le="0.1"}': 7,
                    'vllm:time_to_first_token_seconds_bucket{model_name="chat-v1",le="+Inf"}': 9,
                    'vllm:time_to_first_token_seconds_bucket{model_name="chat",le="0.1"}': 99,
                }
            )

            async def sold():
                return any((await look_at_rewards(counters))["b"])

            await until(sold, "the shop's counters")
            yield Real(counters, unreachable)


class Fake:
    def __init__(self):
        self.counters = ScriptedCounters(
            lambda _: Reading(candidate=arm(1), stable=arm(0)),
            arms=lambda _: {"stable": arm(0), "b": (*arm(1), *arm(0))},
            rewards=lambda _: {"stable": shop(20, 3), "b": shop(10)},
            meters={FIRST_TOKEN.name: {"stable": (bucket(100.0, 7), bucket(math.inf, 9))}},
        )
        self.unreachable = ScriptedCounters(lambda _: Reading(candidate=(), stable=()))
        self.unreachable.outage(Unreachable())


def arm(errors):
    return (
        Series(key="requests", role=SeriesRole.REQUESTS, samples=((1.0, 2.0),)),
        Series(key="errors", role=SeriesRole.ERRORS, samples=((1.0, float(errors)),)),
    )


def bucket(bound, count):
    samples = ((1.0, float(count)),)
    return Series(key=f"le{bound}", role=SeriesRole.BUCKET, bound_ms=bound, samples=samples)


def shop(tried, won=None):
    tries = Series(key="offers", role=SeriesRole.TRIED, samples=((1.0, float(tried)),))
    if won is None:
        return (tries,)
    return (tries, Series(key="orders", role=SeriesRole.WON, samples=((1.0, float(won)),)))


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue("real") if request.param == "real" else Fake()


def look(counters):
    route = route_in("contract")
    return counters.read(
        route, Source.ENVOY, candidate=Place(position=1), stable=Place(position=0), window=WINDOW
    )


def look_at_arms(counters):
    """All arms of a trial; b is counted at two places."""
    arms = {
        "stable": (Place(position=0),),
        "b": (Place(position=1), Place(position=0)),
    }
    return counters.read_arms(route_in("contract"), Source.ENVOY, arms=arms, window=WINDOW)


def look_at_rewards(counters):
    sold = RewardCounters(tries="offers_total", won="orders_total", label="served_by")
    workloads = {"stable": "chat-v1", "b": "chat-v2"}
    return counters.read_rewards(sold, workloads=workloads, window=WINDOW)


def look_at_workloads(counters):
    workloads = {"stable": "chat-v1", "candidate": "chat-v2"}
    return counters.read_workloads(
        route_in("contract"), FIRST_TOKEN, workloads=workloads, window=WINDOW
    )


def counted(series, role):
    return sum(one.samples[-1][1] for one in series if one.role is role)


def both(reading):
    return tuple(
        counted(series, SeriesRole.REQUESTS) for series in (reading.candidate, reading.stable)
    )


async def test_a_reading_has_the_counters_of_each_arm(stage):
    reading = await look(stage.counters)
    assert both(reading) == (2, 2)
    assert counted(reading.candidate, SeriesRole.ERRORS) == 1
    assert counted(reading.stable, SeriesRole.ERRORS) == 0


async def test_an_arm_has_the_counters_of_all_of_its_places(stage):
    reading = await look_at_arms(stage.counters)
    assert {arm: counted(series, SeriesRole.REQUESTS) for arm, series in reading.items()} == {
        "stable": 2,
        "b": 4,
    }


async def test_rewards_are_those_of_each_arms_workload(stage):
    reading = await look_at_rewards(stage.counters)
    tried = {arm: counted(series, SeriesRole.TRIED) for arm, series in reading.items()}
    won = {arm: counted(series, SeriesRole.WON) for arm, series in reading.items()}
    assert (tried, won) == ({"stable": 20, "b": 10}, {"stable": 3, "b": 0})


async def test_a_meter_has_the_counters_of_each_arms_workload_and_none_of_who_was_not_counted(
    stage,
):
    reading = await look_at_workloads(stage.counters)
    assert reading["candidate"] == ()
    found = {one.bound_ms: one.samples[-1][1] for one in reading["stable"]}
    assert found == {100.0: 7, math.inf: 9}
    assert {one.role for one in reading["stable"]} == {SeriesRole.BUCKET}


async def test_samples_ascend_and_keys_are_unique_within_an_arm(stage):
    reading = await look(stage.counters)
    for series in (reading.candidate, reading.stable):
        assert len({one.key for one in series}) == len(series)
        for one in series:
            assert list(one.samples) == sorted(one.samples)


async def test_a_store_that_is_down_is_unreachable(stage):
    for _ in range(2):
        for ask in (look, look_at_arms, look_at_rewards, look_at_workloads):
            with pytest.raises(Unreachable):
                await ask(stage.unreachable)
