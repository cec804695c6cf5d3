"""What every StableHistory does: the one for Prometheus, and the fake that stands in for it."""

from datetime import timedelta

import pytest

from adapters.prometheus import client
from adapters.prometheus.history import PrometheusHistory
from domain.errors import Unreachable
from domain.evidence.baseline import History, PodCounters
from domain.evidence.counters import Series, SeriesRole
from domain.gates import Source
from domain.traffic import Place
from sandbox.ports import free_port
from tests.cluster.builders import route_in
from tests.fakes.history import ToldHistory
from tests.metrics.gateway import routed
from tests.metrics.servers import until

ROUTE = route_in("history")


class Real:
    """A gateway that has served slot 0 three times, once with an error, and slot 1 once."""

    def __init__(self, history, unreachable):
        self.history, self.unreachable = history, unreachable


@pytest.fixture(scope="module")
async def real(envoy_server, prometheus_server):
    async with (
        client.connect(prometheus_server.url) as store,
        client.connect(f"http://127.0.0.1:{free_port()}") as nobody,
        routed(envoy_server, ROUTE) as traffic,
    ):
        await traffic.send(0, 2)
        await traffic.send(0, 1, x_behave="error")
        await traffic.send(1, 1)
        history = PrometheusHistory(store)

        async def counted():
            found = await look(history)
            # Envoy merges its histograms later than its counters.
            return ended(found) == 3 and timed(found) == 3

        await until(counted, "the three answers of slot 0")
        yield Real(history, PrometheusHistory(nobody))


class Fake:
    def __init__(self):
        good, bad = ((1.0, 0.0), (2.0, 2.0)), ((1.0, 0.0), (2.0, 1.0))
        pod = PodCounters(pod="127.0.0.1:80", ended=(good, bad), bad=(bad,))
        timed = Series(
            key="t", role=SeriesRole.BUCKET, bound_ms=float("inf"), samples=((2.0, 3.0),)
        )
        self.history = ToldHistory(History(pods=(pod,), series=(timed,)))
        self.unreachable = ToldHistory()
        self.unreachable.fail(Unreachable())


@pytest.fixture(params=["fake", "prometheus"])
def either(request):
    return Fake() if request.param == "fake" else request.getfixturevalue("real")


def look(history, window=timedelta(minutes=5)):
    return history.read(ROUTE, Source.ENVOY, stable=Place(position=0), window=window)


def last(listed):
    return sum(samples[-1][1] for samples in listed)


def ended(found):
    return sum(last(pod.ended) for pod in found.pods)


def timed(found):
    return last(one.samples for one in found.series if one.bound_ms == float("inf"))


async def test_each_pod_of_stable_is_told_with_its_requests_and_its_bad_ones(either):
    found = await look(either.history)
    assert len(found.pods) == 1
    assert (ended(found), last(found.pods[0].bad)) == (3, 1)


async def test_answers_that_were_timed_are_in_buckets_and_nothing_else_is_told(either):
    found = await look(either.history)
    assert {series.role for series in found.series} == {SeriesRole.BUCKET}
    assert timed(found) == 3


async def test_samples_ascend_in_time(either):
    for pod in (await look(either.history)).pods:
        for samples in (*pod.ended, *pod.bad):
            assert list(samples) == sorted(samples)


async def test_a_store_that_is_away_is_unreachable(either):
    with pytest.raises(Unreachable):
        await look(either.unreachable)
