"""What every MetricsHistory does: the one for Prometheus, and the fake that stands in for it."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from adapters.prometheus import client
from adapters.prometheus.past import PrometheusPast
from domain.errors import Refused, Unreachable
from domain.evidence.counters import Series, SeriesRole
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place
from sandbox.ports import free_port
from tests.cluster.builders import route_in
from tests.fakes.past import ScriptedHistory
from tests.metrics.exporter import exporting
from tests.metrics.gateway import routed
from tests.metrics.servers import until

STABLE, CANDIDATE = Place(position=0), Place(position=1)
FIRST_TOKEN = Meter(source=Source.VLLM, counts="time_to_first_token")
BUCKET = "vllm:time_to_first_token_seconds_bucket"
TIMED = f'{BUCKET}{{model_name="past-v1",le="+Inf"}}'
NOBODY, ZERO, WRONG = f'{BUCKET}{{model_name="nobody"}}', "vector(0)", "sum("
HALF_A_MINUTE = timedelta(seconds=30)


class Stage:
    """A history in which each arm has counted two requests; `now` is a moment after them.

    The model server of stable has timed nine first tokens by then.
    """

    def __init__(self, history, unreachable, now):
        self.history, self.unreachable, self.now = history, unreachable, now


@pytest.fixture(scope="module")
async def real(envoy_server, prometheus_server):
    async with (
        client.connect(prometheus_server.url) as store,
        client.connect(f"http://127.0.0.1:{free_port()}") as nobody,
        routed(envoy_server, route_in("past")) as traffic,
    ):
        await traffic.send(0, 2)
        await traffic.send(1, 2)
        history = PrometheusPast(store)

        async def counted():
            now = datetime.now(UTC)
            reading, metered = await look(history, now), await look_at_workloads(history, now)
            is_told = both(reading) == (2, 2) and sampled_twice(reading)
            return now if is_told and metered.stable else None

        async with exporting(prometheus_server.targets_dir, "past") as server:
            server.write(
                {
                    f'{BUCKET}{{model_name="past-v1",le="0.1"}}': 7,
                    f'{BUCKET}{{model_name="past-v1",le="+Inf"}}': 9,
                    f'{BUCKET}{{model_name="past",le="0.1"}}': 99,
                }
            )
            now = await until(counted, "both answers of both slots, and the times of stable")
            yield Stage(history, PrometheusPast(nobody), now)


@pytest.fixture
def fake():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    history, unreachable = ScriptedHistory(), ScriptedHistory()
    samples = tuple((now.timestamp() - back, 2.0) for back in (6.0, 4.0, 2.0))
    for place in (STABLE, CANDIDATE):
        history.kept[place] = (
            Series(key=f"requests{place}", role=SeriesRole.REQUESTS, samples=samples),
        )
    history.metered[FIRST_TOKEN.name, "past-v1"] = tuple(
        Series(
            key=f"le{bound}",
            role=SeriesRole.BUCKET,
            bound_ms=bound,
            samples=((now.timestamp() - 2, float(count)),),
        )
        for bound, count in ((100.0, 7), (math.inf, 9))
    )
    history.knows = lambda at: at > now - timedelta(days=1)
    history.says = lambda query, at: said(query) if history.knows(at) or query == ZERO else ()
    unreachable.outage(Unreachable())
    return Stage(history, unreachable, now)


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue(request.param)


def said(query):
    if query == WRONG:
        raise Refused
    return {TIMED: (9.0,), NOBODY: (), ZERO: (0.0,)}[query]


def look(history, end, *, window=HALF_A_MINUTE):
    return history.read(
        route_in("past"),
        Source.ENVOY,
        candidate=(CANDIDATE,),
        stable=(STABLE,),
        since=end - window,
        until=end,
    )


def look_at_workloads(history, end, *, candidate="past-v2"):
    return history.read_workloads(
        route_in("past"),
        FIRST_TOKEN,
        candidate=candidate,
        stable="past-v1",
        since=end - HALF_A_MINUTE,
        until=end,
    )


def both(reading):
    return tuple(
        sum(one.samples[-1][1] for one in series if one.role is SeriesRole.REQUESTS)
        for series in (reading.candidate, reading.stable)
    )


def sampled_twice(reading):
    arms = (reading.candidate, reading.stable)
    return all(any(len(one.samples) > 1 for one in series) for series in arms)


def times(reading):
    return sorted({at for one in (*reading.candidate, *reading.stable) for at, _ in one.samples})


async def test_a_reading_has_the_counters_of_each_arm_as_they_were_then(stage):
    assert both(await look(stage.history, stage.now)) == (2, 2)


async def test_no_sample_lies_outside_of_the_range(stage):
    middle = datetime.fromtimestamp(times(await look(stage.history, stage.now))[-2], UTC)
    found = times(await look(stage.history, middle))
    assert found
    assert found[-1] <= middle.timestamp() + 0.001
    later = times(await look(stage.history, stage.now, window=stage.now - middle))
    assert later
    assert later[0] >= middle.timestamp() - 0.001


async def test_two_ranges_that_meet_have_all_samples_of_both_together(stage):
    whole = times(await look(stage.history, stage.now))
    middle = datetime.fromtimestamp(whole[len(whole) // 2] - 0.5, UTC)
    begin = stage.now - HALF_A_MINUTE
    first = times(await look(stage.history, middle, window=middle - begin))
    second = times(await look(stage.history, stage.now, window=stage.now - middle))
    assert [*first, *second] == whole


async def test_what_is_not_kept_is_missing_and_no_error(stage):
    long_ago = stage.now - timedelta(days=300)
    for reading in (
        await look(stage.history, long_ago),
        await look_at_workloads(stage.history, long_ago),
    ):
        assert (reading.candidate, reading.stable) == ((), ())


@pytest.mark.parametrize("candidate", ["past-v2", None])
async def test_another_meter_is_read_by_workload_and_who_was_not_counted_has_no_series(
    stage, candidate
):
    reading = await look_at_workloads(stage.history, stage.now, candidate=candidate)
    assert {one.bound_ms: one.samples[-1][1] for one in reading.stable} == {100: 7, math.inf: 9}
    assert reading.candidate == ()


@pytest.mark.parametrize(("query", "found"), [(TIMED, (9,)), (NOBODY, ()), (ZERO, (0,))])
async def test_a_query_is_answered_as_of_then(stage, query, found):
    assert await stage.history.answer(query, stage.now) == found


async def test_what_is_known_of_a_moment_tells_an_answer_from_one_that_is_made_of_nothing(stage):
    assert await stage.history.is_kept(stage.now)
    long_ago = stage.now - timedelta(days=300)
    assert not await stage.history.is_kept(long_ago)
    assert await stage.history.answer(TIMED, long_ago) == ()
    assert await stage.history.answer(ZERO, long_ago) == (0,)


async def test_a_query_that_is_wrong_is_refused(stage):
    with pytest.raises(Refused):
        await stage.history.answer(WRONG, stage.now)


def ask(history, end):
    return history.answer(TIMED, end)


def ask_whether_kept(history, end):
    return history.is_kept(end)


async def test_a_store_that_is_down_is_unreachable(stage):
    for question in (look, look_at_workloads, ask, ask_whether_kept):
        with pytest.raises(Unreachable):
            await question(stage.unreachable, stage.now)
