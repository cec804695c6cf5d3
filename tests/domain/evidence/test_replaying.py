"""A replay sees what a watch saw: the same intervals, the same verdicts; and says what is gone."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.evidence.counters import Reading, Series, SeriesRole, advance
from domain.evidence.intervals import Interval
from domain.evidence.judge import judge
from domain.evidence.replaying import Replay, Stretch, stretches_of
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.meters import meter_of
from domain.verdicts import Status
from tests.projects import an_arms_interval, an_interval

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATES = (Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.01)),)
FIRST_TOKEN = Gate(
    name="first token",
    metric=Metric.TIME_TO_FIRST_TOKEN,
    source=Source.VLLM,
    slow_over_ms=100,
    against_stable=AgainstStable(floor=0.05),
)
BOTH, VLLM = (*GATES, FIRST_TOKEN), meter_of(FIRST_TOKEN)
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
            kept.append(replace(one, samples=samples))
    return tuple(kept)


def timed(seconds, *, rps, slow=0.0, slow_from=0, since=-60, seed=1, skip=()):
    """Times of one arm as a model server counts them: within 100 ms, and all."""
    chance, total, fast = random.Random(seed), 0, 0
    within, every = [], []
    for at in range(since, seconds + 1, SCRAPE):
        rate = slow if at >= slow_from else 0.01
        total += rps * SCRAPE
        fast += sum(chance.random() >= rate for _ in range(rps * SCRAPE))
        if at not in skip:
            within.append((NOON.timestamp() + at, float(fast)))
            every.append((NOON.timestamp() + at, float(total)))
    return tuple(
        Series(key=f"le{bound}", role=SeriesRole.BUCKET, bound_ms=bound, samples=tuple(samples))
        for bound, samples in ((100.0, within), (math.inf, every))
    )


def whole(reading):
    return lambda begin, end: Reading(
        candidate=cut(reading.candidate, begin, end), stable=cut(reading.stable, begin, end)
    )


def replayed(reading, *stretches, chunk=timedelta(seconds=120), gates=GATES, beside=None, **terms):
    """`beside` has the readings of other meters."""
    replay, read = Replay(gates, probe=PROBE, **terms), whole(reading)
    others = {meter: whole(one) for meter, one in (beside or {}).items()}
    for stretch in stretches:
        replay.open(stretch)
        since = stretch.since - replay.lookback
        while since < stretch.until:
            until = min(since + chunk, stretch.until)
            pieces = {meter: cut_out(since, until) for meter, cut_out in others.items()}
            replay.take(read(since, until), until, pieces)
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


def test_within_a_warm_up_a_gate_has_nothing_to_judge_but_a_catastrophe():
    warm_up = timedelta(seconds=300)
    ruined = Reading(candidate=counters(1200, rps=5, bad=1), stable=counters(1200, rps=45))
    judged = {
        (name, until): replayed(reading, stretch(0, until), warm_up=warm_up).judged
        for name, reading in (("sick", sick()), ("ruined", ruined))
        for until in (290, 600)
    }
    assert judged == {
        ("sick", 290): False,
        ("sick", 600): True,
        ("ruined", 290): True,
        ("ruined", 600): True,
    }


def test_what_an_early_step_had_to_judge_counts_though_the_last_one_had_nothing():
    early = sick()
    idle = replace(early, candidate=cut(early.candidate, after(-60), after(600)))
    found = replayed(idle, stretch(0, 600), stretch(630, 1200, step=4))
    assert (found.judged, found.gates[0].verdict.status) == (True, Status.UNAVAILABLE)


def test_phi_takes_more_evidence():
    at = [replayed(sick(), stretch(0, 1200), phi=phi).gates[0].first_fail.at for phi in (1, 4)]
    assert at[0] < at[1]


def healthy(seconds=1200, **changes):
    return Reading(
        candidate=counters(seconds, rps=5, bad=0.01, seed=2, **changes),
        stable=counters(seconds, rps=45, bad=0.01, seed=3, **changes),
    )


def slower(seconds=1200, **changes):
    """What the model servers count: the candidate is slow from ten past twelve on."""
    return Reading(
        candidate=timed(seconds, rps=5, slow=0.3, slow_from=600, seed=4, **changes),
        stable=timed(seconds, rps=45, seed=5, **changes),
    )


def test_another_meter_gives_its_gates_the_verdicts_of_a_watch():
    stretches = (stretch(0, 600), stretch(630, 1200, step=4, weight=20))
    found = replayed(healthy(), *stretches, gates=BOTH, beside={VLLM: slower()})
    watched, metered = live(healthy(), *stretches), live(slower(), *stretches)
    errors, first_token = found.gates
    assert (errors.verdict, first_token.verdict) == judge(
        BOTH, watched, step=4, meters={VLLM.name: metered}
    )
    assert found.intervals == len(watched) + len(metered)
    assert first_token.verdict.status is Status.FAIL
    assert after(630) < first_token.first_fail.at < after(720)
    assert first_token.first_pass.at < after(600)
    assert found.fired == ("first token",)
    assert found.missing == ()


def test_a_meter_of_which_nothing_is_kept_leaves_the_other_gates_alone():
    nothing = Reading(candidate=(), stable=())
    found = replayed(healthy(), stretch(0, 1200), gates=BOTH, beside={VLLM: nothing})
    errors, first_token = found.gates
    assert errors.verdict.samples.candidate_requests == 6000
    assert (first_token.verdict.status, first_token.first_pass) == (Status.UNAVAILABLE, None)
    because = "vllm/time_to_first_token: no samples of the candidate from 2026-11-22 12:00:00 UTC"
    assert because in first_token.verdict.reason
    assert [told.split(":")[0] for told in found.missing] == ["vllm/time_to_first_token"] * 2


def test_no_gate_passes_while_the_gateway_is_silent_as_in_a_watch():
    silent = Reading(candidate=(), stable=())
    equal = Reading(candidate=timed(1200, rps=1), stable=timed(1200, rps=9))
    found = replayed(silent, stretch(0, 1200), gates=BOTH, beside={VLLM: equal})
    assert {gate.verdict.status for gate in found.gates} == {Status.UNAVAILABLE}
    assert {gate.first_pass for gate in found.gates} == {None}
    hole = range(20, 1000)
    late = replayed(
        healthy(skip=hole), stretch(0, 1200), gates=(FIRST_TOKEN,), beside={VLLM: equal}
    )
    assert late.gates[0].first_pass.at == after(1005)  # the first probe behind the hole
    whole_time = replayed(healthy(), stretch(0, 1200), gates=(FIRST_TOKEN,), beside={VLLM: equal})
    assert whole_time.gates[0].first_pass.at < after(400)


def test_a_failure_counts_though_the_gateway_is_silent_as_in_a_watch():
    silent = Reading(candidate=(), stable=())
    found = replayed(silent, stretch(0, 1200), gates=BOTH, beside={VLLM: slower()})
    assert found.fired == ("first token",)
    assert [gate.verdict.status for gate in found.gates] == [Status.UNAVAILABLE, Status.FAIL]


def test_a_gate_that_is_not_read_counts_among_the_chances_and_says_nothing():
    found = replayed(sick(), stretch(0, 1200), gates=BOTH, unread=("first token",))
    alone = replayed(sick(), stretch(0, 1200))
    (gate,) = found.gates
    needed = [each.verdict.evidence.fail_needed for each in (gate, *alone.gates)]
    assert needed == [40, 20]
    assert gate.first_fail.at >= alone.gates[0].first_fail.at


def test_a_step_with_a_margin_is_passed_by_the_evidence_of_the_whole_rollout():
    stretches = (stretch(0, 600), stretch(630, 720, step=4, weight=20))
    gates = (replace(GATES[0], against_stable=AgainstStable(floor=0.0001)),)
    anew = replayed(healthy(), *stretches, gates=gates).gates[0]
    rung = replayed(healthy(), *stretches, gates=gates, margins={2: 4.0, 4: 3.5}).gates[0]
    watched = live(healthy(), *stretches)
    assert rung.verdict == judge(gates, watched, step=4, margins={2: 4.0, 4: 3.5})[0]
    assert (anew.verdict.status, rung.verdict.status) == (Status.UNDECIDED, Status.PASS)
    assert rung.first_pass.step == 2


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


def flawless(seconds):
    return Reading(candidate=counters(seconds, rps=5), stable=counters(seconds, rps=45))


def test_a_gate_whose_samples_end_early_is_unavailable_by_the_end_as_in_a_watch():
    found = {end: replayed(flawless(end), stretch(0, 1200)).gates[0] for end in (900, 1200)}
    assert found[900].first_pass == found[1200].first_pass
    assert found[1200].verdict.status is Status.PASS
    assert found[900].verdict.status is Status.UNAVAILABLE
    told = "No samples of the candidate after 2026-11-22 12:15:00 UTC."
    assert told in found[900].verdict.reason


def test_a_gate_that_had_failed_before_its_samples_ended_stays_failed():
    (gate,) = replayed(sick(900), stretch(0, 1200)).gates
    assert gate.verdict == gate.first_fail.verdict


def test_a_meter_whose_samples_end_early_leaves_the_other_gates_alone():
    found = replayed(flawless(1200), stretch(0, 1200), gates=BOTH, beside={VLLM: slower(500)})
    statuses = [gate.verdict.status for gate in found.gates]
    assert statuses == [Status.PASS, Status.UNAVAILABLE]


def test_a_hole_is_said_and_loses_no_request():
    hole = range(300, 420)
    holed = Reading(
        candidate=counters(1200, rps=5, skip=hole), stable=counters(1200, rps=45, skip=hole)
    )
    found = replayed(holed, stretch(0, 1200))
    (told,) = found.missing
    assert told.startswith("No fresh sample of both for 12")
    assert found.gates[0].verdict.samples.candidate_requests == 5 * 1200


def test_requests_between_two_divisions_are_not_counted_in_a_backtest():
    found = replayed(healthy(), stretch(0, 600), stretch(720, 1200, weight=20))
    samples = found.gates[0].verdict.samples
    assert (samples.candidate_requests, samples.stable_requests) == (5 * 1080, 45 * 1080)
    assert found.missing == ()


def test_a_whole_range_is_missing_nothing():
    assert replayed(sick(), stretch(0, 1200)).missing == ()


def test_stored_intervals_tell_the_stretches():
    def at(k, step, weight):
        return an_interval(
            k, step=step, weight=weight, opened_at=after(10 * k), closed_at=after(10 * k + 10)
        )

    intervals = [at(0, 2, 10), at(1, 2, 10), at(2, 4, 50)]
    assert stretches_of(intervals) == (stretch(0, 20), stretch(20, 30, step=4, weight=50))


def test_a_division_is_a_stretch_of_its_own_though_the_arm_s_weight_stays():
    def at(k, begin, end):
        return replace(an_arms_interval(k), step=2, opened_at=after(begin), closed_at=after(end))

    names = [arm.arm for arm in an_arms_interval(0).arms]
    found = stretches_of([at(0, 0, 10), at(1, 10, 20), at(2, 50, 60)], names[1], names[0])
    assert [(each.since, each.until) for each in found] == [
        (after(0), after(20)),
        (after(50), after(60)),
    ]
    assert found[0].weight == found[1].weight


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
