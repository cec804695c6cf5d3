"""A replay sees what a watch saw: the same intervals, the same verdicts; and says what is gone."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from domain.evidence.counters import Reading, Series, SeriesRole, advance
from domain.evidence.intervals import Interval
from domain.evidence.judge import judge
from domain.evidence.replaying import Replay, Stretch, stretches_of
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import Status
from tests.projects import an_arms_interval, an_interval

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATES = (Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.01)),)
PROBE = timedelta(seconds=15)
SCRAPE = 5


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def counters(seconds, *, rps, bad=0.0, since=-60, bad_from=0, seed=1, skip=()):
    """Requests and errors of one arm, scraped each 5 s; `skip` are scrapes that failed."""
    chance, total, failed = random.Random(seed), 0, 0
    requests, errors = [], []
    for at in range(since, seconds + 1, SCRAPE):
        rate = bad if at >= bad_from else 0.0
        total += rps * SCRAPE
        failed += sum(chance.random() < rate for _ in range(rps * SCRAPE))
        if at not in skip:
            requests.append((NOON.timestamp() + at, float(total)))
            errors.append((NOON.timestamp() + at, float(failed)))
    return (
        Series(key="requests", role=SeriesRole.REQUESTS, samples=tuple(requests)),
        Series(key="errors", role=SeriesRole.ERRORS, samples=tuple(errors)),
    )


def cut(series, begin, end):
    times = begin.timestamp(), end.timestamp()
    kept = []
    for one in series:
        samples = tuple(s for s in one.samples if times[0] < s[0] <= times[1])
        if samples:
            kept.append(Series(key=one.key, role=one.role, samples=samples))
    return tuple(kept)


def whole(reading):
    return lambda begin, end: Reading(
        candidate=cut(reading.candidate, begin, end), stable=cut(reading.stable, begin, end)
    )


def replayed(reading, *stretches, chunk=timedelta(seconds=120), gates=GATES, **options):
    replay, read = Replay(gates, probe=PROBE, **options), whole(reading)
    for stretch in stretches:
        replay.open(stretch)
        since = stretch.since - replay.lookback
        while since < stretch.until:
            until = min(since + chunk, stretch.until)
            replay.take(read(since, until), until)
            since = until
    return replay.result(stretches)


def live(reading, *stretches):
    """What a watch would have stored: it reads the last minute at each probe."""
    read, cursor = whole(reading), None
    intervals: list[Interval] = []
    for stretch in stretches:
        moment = stretch.since
        while moment <= stretch.until:
            interval, cursor = advance(
                cursor,
                read(moment - timedelta(seconds=60), moment),
                sequence=len(intervals),
                step=stretch.step,
                weight=stretch.weight,
            )
            intervals += [interval] if interval else []
            moment += PROBE
    return intervals


def stretch(since, until, *, step=2, weight=10):
    return Stretch(step=step, weight=weight, since=after(since), until=after(until))


def sick(seconds=1200, **changes):
    return Reading(
        candidate=counters(seconds, rps=5, bad=0.2, bad_from=600, seed=2, **changes),
        stable=counters(seconds, rps=45, bad=0.01, seed=3),
    )


def verdicts_over_time(intervals):
    folded = [judge(GATES, intervals[: k + 1], step=i.step)[0] for k, i in enumerate(intervals)]
    return list(zip(intervals, folded, strict=True))


@pytest.mark.parametrize("chunk", [7, 15, 120, 100_000])
def test_the_same_samples_give_the_verdicts_of_a_watch_however_they_are_cut(chunk):
    stretches = (stretch(0, 600), stretch(630, 1200, step=4, weight=20))
    found = replayed(sick(), *stretches, chunk=timedelta(seconds=chunk))
    watched = live(sick(), *stretches)
    assert found.intervals == len(watched) == 78
    assert found.gates[0].verdict == judge(GATES, watched, step=4)[0]
    told = verdicts_over_time(watched)
    fails = next(i for i, verdict in told if verdict.status is Status.FAIL)
    passes = next((i, v) for i, v in told if v.status is Status.PASS)
    assert found.gates[0].first_fail.at == fails.closed_at
    assert (found.gates[0].first_pass.at, found.gates[0].first_pass.verdict) == (
        passes[0].closed_at,
        passes[1],
    )


def test_a_regression_is_found_where_it_began_and_not_before():
    (gate,) = replayed(sick(), stretch(0, 1200)).gates
    assert after(600) < gate.first_fail.at < after(720)
    assert gate.first_fail.seconds == (gate.first_fail.at - NOON).total_seconds()
    assert gate.first_fail.verdict.status is gate.verdict.status is Status.FAIL
    assert gate.first_pass.at < gate.first_fail.at


def test_an_equal_candidate_fires_no_gate():
    equal = Reading(
        candidate=counters(3600, rps=5, bad=0.01, seed=2), stable=counters(3600, rps=45, bad=0.01)
    )
    assert replayed(equal, stretch(0, 3600)).fired == ()


def test_phi_takes_more_evidence():
    at = [replayed(sick(), stretch(0, 1200), phi=phi).gates[0].first_fail.at for phi in (1, 4)]
    assert at[0] < at[1]


def test_what_the_store_never_had_is_unavailable_and_no_pass():
    found = replayed(Reading(candidate=(), stable=()), stretch(0, 600))
    (gate,) = found.gates
    assert gate.verdict.status is Status.UNAVAILABLE
    assert (gate.first_pass, gate.first_fail, found.intervals) == (None, None, 0)
    assert "No samples of the candidate from 2026-11-22 12:00:00 UTC" in gate.verdict.reason
    assert "No samples of stable" in gate.verdict.reason


def test_where_retention_has_cut_the_range_it_is_said():
    late = Reading(
        candidate=counters(1200, rps=5, since=300), stable=counters(1200, rps=45, since=300)
    )
    found = replayed(late, stretch(0, 1200))
    assert "No samples of stable before 2026-11-22 12:05:00 UTC." in found.missing
    assert found.intervals == 60


def test_where_the_samples_end_early_it_is_said():
    found = replayed(sick(900), stretch(0, 1200))
    assert "No samples of the candidate after 2026-11-22 12:15:00 UTC." in found.missing


def test_a_hole_is_said_and_loses_no_request():
    hole = range(300, 420)
    holed = Reading(
        candidate=counters(1200, rps=5, skip=hole), stable=counters(1200, rps=45, skip=hole)
    )
    found = replayed(holed, stretch(0, 1200))
    (told,) = found.missing
    assert told.startswith("No fresh sample of both for 12")
    assert found.gates[0].verdict.samples.candidate_requests == 5 * 1200


def test_a_whole_range_is_missing_nothing():
    assert replayed(sick(), stretch(0, 1200)).missing == ()


def test_stored_intervals_tell_the_stretches():
    def at(k, step, weight):
        return an_interval(
            k, step=step, weight=weight, opened_at=after(10 * k), closed_at=after(10 * k + 10)
        )

    intervals = [at(0, 2, 10), at(1, 2, 10), at(2, 4, 50)]
    assert stretches_of(intervals) == (stretch(0, 20), stretch(20, 30, step=4, weight=50))


def test_of_a_trial_the_stretches_are_those_of_one_arm():
    one = an_arms_interval(0)
    names = [arm.arm for arm in one.arms]
    (found,) = stretches_of([one], names[1], names[0])
    assert (found.since, found.until, found.weight) == (
        one.opened_at,
        one.closed_at,
        one.arms[1].weight,
    )
    assert stretches_of([one], "gone", names[0]) == ()
