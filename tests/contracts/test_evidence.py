"""The port EvidenceStore."""

import asyncio
from datetime import timedelta

import pytest

from domain.errors import Contended
from domain.evidence.baseline import Baseline
from domain.evidence.intervals import Counts
from domain.evidence_port import EvidenceLog, MeterLog
from tests.projects import (
    NOW,
    a_cursor,
    a_project,
    an_arms_cursor,
    an_arms_interval,
    an_interval,
)


@pytest.fixture
async def rollout(registry):
    it = await a_project().store(registry)
    return await it.start(registry)


@pytest.fixture
def append(evidence, rollout):
    async def write(interval, cursor, meter=""):
        await evidence.append(rollout.id, interval=interval, cursor=cursor, meter=meter)

    return write


@pytest.fixture
def load(evidence, rollout):
    return lambda: evidence.load(rollout.id)


def cursor_at(seconds, step=2):
    return a_cursor(NOW + timedelta(seconds=seconds), step=step)


async def test_nothing_seen_is_an_empty_log(load):
    assert await load() == EvidenceLog(intervals=(), cursor=None)


async def test_what_was_kept_comes_back_bit_for_bit_and_in_order(append, load):
    bare = an_interval(1, candidate=Counts(requests=0, errors=0), bounds_ms=(), resets=0)
    kept = (an_interval(0), bare, an_interval(2, step=4, weight=50))
    for interval in kept:
        await append(interval, cursor_at(15 * (interval.sequence + 1)))
    log = await load()
    assert log == EvidenceLog(intervals=kept, cursor=cursor_at(45))


async def test_the_size_is_how_many_intervals_there_are(append, evidence, rollout):
    assert await evidence.size(rollout.id) == 0
    for sequence in range(3):
        await append(an_interval(sequence), cursor_at(15 * (sequence + 1)))
    await append(None, cursor_at(60, step=4))
    assert await evidence.size(rollout.id) == len((await evidence.load(rollout.id)).intervals) == 3


async def test_the_intervals_of_a_trial_come_back_with_all_of_their_arms(append, load):
    kept = (an_arms_interval(0), an_arms_interval(1, arms=an_arms_interval(1).arms[:1]))
    for interval in kept:
        await append(interval, an_arms_cursor(NOW + timedelta(seconds=15), division=2))
    cursor = an_arms_cursor(NOW + timedelta(seconds=15), division=2)
    assert await load() == EvidenceLog(intervals=kept, cursor=cursor)
    with pytest.raises(Contended):
        await append(an_interval(1), cursor_at(30))


async def test_a_cursor_can_move_without_an_interval(append, load):
    await append(None, cursor_at(0))
    await append(None, cursor_at(15, step=4))
    assert await load() == EvidenceLog(intervals=(), cursor=cursor_at(15, step=4))


async def test_another_interval_under_a_taken_number_is_contended(append, load):
    await append(an_interval(0), cursor_at(15))
    with pytest.raises(Contended):
        await append(an_interval(0, weight=99), cursor_at(30))
    log = await load()
    assert (log.intervals, log.cursor) == ((an_interval(0),), cursor_at(15))


async def test_the_identical_interval_again_changes_nothing(append, load):
    await append(an_interval(0), cursor_at(15))
    await append(an_interval(1), cursor_at(30))
    await append(an_interval(0), cursor_at(15))
    log = await load()
    assert (len(log.intervals), log.cursor) == (2, cursor_at(30))


async def test_an_older_cursor_never_replaces_a_later_one(append, load):
    await append(an_interval(0), cursor_at(15))
    with pytest.raises(Contended):
        await append(None, cursor_at(0))
    assert (await load()).cursor == cursor_at(15)


async def test_a_refused_cursor_takes_its_interval_with_it(append, load):
    await append(an_interval(0), cursor_at(30))
    with pytest.raises(Contended):
        await append(an_interval(1), cursor_at(15))
    assert (await load()).intervals == (an_interval(0),)


async def test_a_store_of_counters_that_forgot_everything_opens_anew(append, load):
    await append(an_interval(0), cursor_at(15))
    await append(None, a_cursor(None, step=4))
    assert (await load()).cursor == a_cursor(None, step=4)


async def test_of_two_watchers_one_wins(append, load):
    results = await asyncio.gather(
        append(an_interval(0, weight=10), cursor_at(15)),
        append(an_interval(0, weight=20), cursor_at(15)),
        return_exceptions=True,
    )
    assert [type(result) for result in results if result] == [Contended]
    assert len((await load()).intervals) == 1


FIRST, TOKENS = "vllm/time_to_first_token", "gen_ai/tokens"


async def test_each_meter_has_a_stream_of_its_own(append, load, evidence, rollout):
    gateway, first, second = an_interval(0), an_interval(0, weight=50), an_interval(1, weight=50)
    await append(gateway, cursor_at(15))
    await append(first, cursor_at(20), FIRST)
    await append(second, cursor_at(25), FIRST)
    await append(None, cursor_at(10), TOKENS)
    assert await load() == EvidenceLog(
        intervals=(gateway,),
        cursor=cursor_at(15),
        meters={
            FIRST: MeterLog(intervals=(first, second), cursor=cursor_at(25)),
            TOKENS: MeterLog(intervals=(), cursor=cursor_at(10)),
        },
    )
    assert await evidence.size(rollout.id) == 3


async def test_a_stream_refuses_another_interval_under_a_taken_number(append, load):
    await append(an_interval(0), cursor_at(15), FIRST)
    with pytest.raises(Contended):
        await append(an_interval(0, weight=99), cursor_at(30), FIRST)
    await append(an_interval(0, weight=99), cursor_at(30), TOKENS)
    log = await load()
    assert log.meters[FIRST] == MeterLog(intervals=(an_interval(0),), cursor=cursor_at(15))


async def test_the_identical_interval_of_a_stream_again_changes_nothing(append, load):
    await append(an_interval(0), cursor_at(15), FIRST)
    await append(an_interval(1), cursor_at(30), FIRST)
    await append(an_interval(0), cursor_at(15), FIRST)
    stream = (await load()).meters[FIRST]
    assert (len(stream.intervals), stream.cursor) == (2, cursor_at(30))


async def test_an_older_cursor_of_a_stream_takes_its_interval_with_it(append, load):
    await append(an_interval(0), cursor_at(30), FIRST)
    with pytest.raises(Contended):
        await append(an_interval(1), cursor_at(15), FIRST)
    assert (await load()).meters[FIRST].intervals == (an_interval(0),)


async def test_streams_are_those_of_one_rollout(append, evidence, registry):
    await append(an_interval(0), cursor_at(15), FIRST)
    other = await a_project().store(registry)
    started = await other.start(registry)
    assert (await evidence.load(started.id)).meters == {}
    assert await evidence.size(started.id) == 0


BASELINE = Baseline(
    phi=2.5, phi_source="3 stable pods, 60 min", slow_bounds={"slow": (50.0, 250.0)}
)


async def test_the_requests_that_began_come_back_and_so_does_that_nobody_counts_them(append, load):
    counted = an_interval(0, candidate=Counts(requests=9, errors=1, started=12))
    unknown = an_interval(1, candidate=Counts(requests=9, errors=1))
    await append(counted, cursor_at(15))
    await append(unknown, cursor_at(30))
    assert [one.candidate.started for one in (await load()).intervals] == [12, None]


async def test_a_baseline_comes_back_with_the_evidence(append, load, evidence, rollout):
    assert (await load()).baseline is None
    assert await evidence.keep_baseline(rollout.id, BASELINE) == BASELINE
    await append(an_interval(0), cursor_at(15))
    assert (await load()).baseline == BASELINE


async def test_the_first_baseline_stands_for_good(load, evidence, rollout):
    await evidence.keep_baseline(rollout.id, BASELINE)
    assert await evidence.keep_baseline(rollout.id, Baseline(phi=9.0)) == BASELINE
    assert (await load()).baseline == BASELINE


async def test_of_two_watchers_that_measure_at_once_both_go_by_one_baseline(evidence, rollout):
    given = [Baseline(phi=float(k)) for k in range(1, 6)]
    stood = await asyncio.gather(*(evidence.keep_baseline(rollout.id, one) for one in given))
    assert len({one.phi for one in stood}) == 1
