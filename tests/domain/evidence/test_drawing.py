"""The chart of evidence: each point is the verdict of its moment, and what matters is never thinned."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.baseline import Baseline
from domain.evidence.drawing import Drawing, draw, series_of
from domain.evidence.intervals import ArmsInterval, CountedArm, Counts
from domain.evidence.judge import Judge, judge
from domain.evidence.tallies import Observation
from domain.evidence.thinning import ends, even, thinned
from domain.evidence.trial import TrialJudge
from domain.evidence.trial_intervals import of_arms
from domain.gates import Metric
from domain.trial import Reward, RewardMetric, Trial, TrialRules
from domain.trial_verdicts import Outcome, Standing
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON, error_gate, interval, latency_gate, run, unhurried

HEALTHY = ((300, 0), (2700, 0))
FAILING = ((30, 9), (270, 0))
GATES = [error_gate(limit=0.05), latency_gate()]
ARMS = ("stable", "b", "c")
SUCCESS = Reward(metric=RewardMetric.SUCCESS_RATE)


def a_trial(**rules):
    return Trial(arms=ARMS, reward=SUCCESS, rules=TrialRules(**rules))


def of_trial(sequence, errors, *, weights=None, skew=0):
    """One interval of 15 seconds; `errors` by arm of 1,000 requests, who is not named has left.

    Requests arrive as weighted but for `skew` more in a hundred that reach stable.
    """
    weights = weights or {arm: 100 // len(errors) for arm in errors}
    skewed = {**weights, "stable": weights["stable"] + skew}
    return ArmsInterval(
        sequence=sequence,
        step=2,
        opened_at=NOON + timedelta(seconds=15 * sequence),
        closed_at=NOON + timedelta(seconds=15 * (sequence + 1)),
        arms=tuple(
            CountedArm(
                arm=arm,
                weight=weights[arm],
                started=30 * skewed[arm],
                counts=Counts(requests=1000, errors=bad),
            )
            for arm, bad in errors.items()
        ),
    )


def compared(chart):
    """How the arms compare in the chart of a trial."""
    assert chart.trial is not None
    return chart.trial


# Thinning


@given(st.lists(st.booleans(), max_size=300), st.integers(0, 400))
@unhurried
def test_thinning_keeps_what_it_must_and_as_much_else_as_there_is_room_for(required, most):
    stay = thinned(required, most)
    must = {place for place, needed in enumerate(required) if needed}
    assert must <= set(stay)
    assert stay == sorted(set(stay))
    assert len(stay) == max(len(must), min(most, len(required)))


@given(st.integers(1, 10_000), st.integers(1, 500))
@unhurried
def test_even_places_lie_evenly_and_end_with_the_last(count, most):
    places = sorted(even(count, most))
    assert (len(places), places[-1]) == (min(count, most), count - 1)
    gaps = {after - before for before, after in zip([-1, *places], places, strict=False)}
    assert max(gaps) - min(gaps) <= 1


@given(st.lists(st.sampled_from("ab"), max_size=50))
@unhurried
def test_ends_are_where_the_next_one_differs(values):
    last = len(values) - 1
    expected = {i for i, v in enumerate(values) if i == last or values[i + 1] != v}
    assert ends(values) == expected


# Gates

counts = st.sampled_from([(0, 0), (5, 1), (30, 0), (30, 9), (3000, 0), (3000, 20), (3000, 200)])
seen = st.tuples(
    counts, counts, st.sampled_from([Metric.ERROR_RATE, Metric.LATENCY]), st.integers(0, 9)
)


@st.composite
def lives(draw_one):
    """Intervals over several steps: silent, healthy or failing, with times in them or without."""
    rows, step, found = draw_one(st.lists(seen, min_size=1, max_size=25)), 0, []
    for sequence, (candidate, stable, metric, goes_on) in enumerate(rows):
        step += goes_on == 0
        weight = 10 * (step + 1) + (goes_on == 1)
        found.append(interval(sequence, candidate, stable, metric=metric, step=step, weight=weight))
    return found


def shown(verdict):
    """What a chart shows of it: the dear parts are not computed for one."""
    return (verdict.status, verdict.effect, verdict.evidence, verdict.samples, verdict.look)


@given(lives(), st.integers(1, 40))
@unhurried
def test_each_point_is_the_verdict_of_its_moment(intervals, points):
    chart = draw(GATES, None, intervals, points=points)
    by_end = {each.closed_at: place for place, each in enumerate(intervals)}
    for i, series in enumerate(chart.gates):
        assert series.points[-1].at == intervals[-1].closed_at
        for point in series.points:
            place = by_end[point.at]
            told = judge(GATES, intervals[: place + 1], step=intervals[place].step)[i]
            assert shown(point.verdict) == shown(told)
            assert (point.step, point.weight) == (intervals[place].step, intervals[place].weight)


def test_a_chart_is_drawn_by_the_terms_of_the_verdicts():
    rows = [((20, 0), (980, 20))] * 90
    intervals = [
        replace(
            one,
            candidate=replace(one.candidate, started=one.candidate.requests),
            stable=replace(one.stable, started=one.stable.requests),
        )
        for one in run(rows)
    ]
    terms: dict[str, Any] = {
        "baseline": Baseline(phi=1.5, phi_source="a default"),
        "warm_up": timedelta(seconds=30),
    }
    (series,) = draw([error_gate()], None, intervals, points=90, **terms).gates
    for place, point in enumerate(series.points):
        told = judge([error_gate()], intervals[: place + 1], step=0, **terms)[0]
        assert shown(point.verdict) == shown(told)
        assert (point.verdict.quality, point.verdict.doubt) == (told.quality, told.doubt)
    assert "Warming up" in series.points[0].verdict.reason
    assert "do not arrive as weighted" in series.points[-1].verdict.doubt


@given(lives(), st.integers(1, 40))
@unhurried
def test_the_end_of_each_step_and_every_change_of_a_verdict_stay(intervals, points):
    chart = draw(GATES, None, intervals, points=points)
    kept = {point.at for point in chart.gates[0].points}
    fold, before, must = Judge(GATES), None, set()
    for i, each in enumerate(intervals):
        fold.add(each)
        now = [verdict.status for verdict in fold.verdicts(each.step)]
        is_last = i + 1 == len(intervals) or intervals[i + 1].step != each.step
        if now != before or is_last:
            must.add(each.closed_at)
        before = now
    assert must <= kept
    weights = ends((each.step, each.weight) for each in intervals)
    assert len(kept) <= max(points, len(must | {intervals[i].closed_at for i in weights}))


@given(lives())
@unhurried
def test_statuses_are_those_of_the_verdicts(intervals):
    fold = Judge(GATES)
    for each in intervals:
        fold.add(each)
        for step in (each.step, each.step + 1):
            told = tuple(verdict.status for verdict in fold.verdicts(step))
            assert fold.statuses(step) == told


def test_a_gate_without_a_rule_is_undecided_by_its_status_too():
    fold = Judge([error_gate(against_stable=None)])
    for each in run([HEALTHY] * 3):
        fold.add(each)
    assert fold.statuses(0) == (Status.UNDECIDED,)


def test_the_counts_of_a_point_are_of_its_interval_alone():
    chart = draw([error_gate()], None, run([HEALTHY, ((20, 1), (180, 2))]), points=9)
    seen = chart.gates[0].points[-1].seen
    assert seen == Observation(
        candidate_requests=20, candidate_bad=1, stable_requests=180, stable_bad=2
    )


def test_a_bound_that_is_not_counted_has_no_counts_and_is_unavailable():
    chart = draw([latency_gate()], None, run([HEALTHY]), points=9)
    (point,) = chart.gates[0].points
    assert (point.seen, point.verdict.status) == (None, Status.UNAVAILABLE)


def test_without_intervals_series_are_empty():
    chart = draw(GATES, None, [], points=200)
    assert (chart.intervals, [series.points for series in chart.gates]) == (0, [(), ()])
    chart = draw(GATES, a_trial(), [], points=200)
    assert [series.variant for series in chart.gates] == ["b", "b", "c", "c"]
    assert (compared(chart).points, [arm.points for arm in compared(chart).arms]) == (
        (),
        [(), (), ()],
    )


def test_a_long_history_is_thinned_to_what_was_asked_for():
    chart = draw([error_gate()], None, run([HEALTHY] * 500 + [FAILING] * 500), points=20)
    points = chart.gates[0].points
    assert (chart.intervals, len(points)) == (1000, 20)
    changes = [p.verdict.status for p in points]
    assert changes.index(Status.FAIL) > changes.index(Status.PASS) > 0


# Trials

some = settings(unhurried, max_examples=30)  # each verdict integrates the chances of all arms
errors = st.sampled_from([0, 10, 20, 30, 80])


@st.composite
def trials(draw_one):
    """Intervals of a trial that c may leave, at weights that may change."""
    rows = draw_one(st.lists(st.tuples(errors, errors, errors), min_size=1, max_size=20))
    leaves = draw_one(st.integers(1, 25))
    moves, skew = draw_one(st.integers(1, 25)), draw_one(st.sampled_from([0, 0, 0, 9]))
    found = []
    for sequence, bad in enumerate(rows):
        present = ARMS if sequence < leaves else ARMS[:2]
        named = dict(zip(present, bad, strict=False))
        weights = {"stable": 40, "b": 30, "c": 30} if sequence < moves else None
        found.append(of_trial(sequence, named, weights=weights, skew=skew))
    return found


@given(trials(), st.integers(1, 30))
@some
def test_each_point_of_a_trial_is_its_verdict_of_the_moment(intervals, points):
    trial = a_trial(equivalence_margin=0.02)
    chart = draw([error_gate()], trial, intervals, points=points)
    fold, by_end = TrialJudge(ARMS, SUCCESS, trial.rules), {}
    for each in intervals:
        fold.add(of_arms(each, SUCCESS))
        by_end[each.closed_at] = fold.verdict()
    for point in compared(chart).points:
        told = by_end[point.at]
        assert (point.outcome, point.winner) == (told.outcome, told.winner)
        assert point.split == told.split
        if told.pairs:
            assert point.strongest.odds == max(pair.odds for pair in told.pairs)
            assert point.alike == min(pair.within_margin or 0.0 for pair in told.pairs)
        arms = {arm.arm: replace(arm, prob_best=None, expected_loss=None) for arm in told.arms}
        for series in compared(chart).arms:
            for of_arm in series.points:
                if of_arm.at == point.at:
                    assert of_arm.verdict == arms[series.arm]
    assert compared(chart).points[-1].at == intervals[-1].closed_at


@given(trials())
@some
def test_every_change_of_a_trial_stays_however_few_points_there_are(intervals):
    trial = a_trial(equivalence_margin=0.02)
    chart = draw([], trial, intervals, points=1)
    kept = {point.at for point in compared(chart).points}
    fold, before = TrialJudge(ARMS, SUCCESS, trial.rules), None
    for each in intervals:
        fold.add(of_arms(each, SUCCESS))
        told = fold.numbers()
        now = (told.outcome, tuple(arm.standing for arm in told.arms), told.split.in_doubt)
        assert fold.stands() == now
        if now != before:
            assert each.closed_at in kept
        before = now


def test_each_arm_has_its_gates_until_it_leaves():
    both = [of_trial(k, {"stable": 10, "b": 10, "c": 10}) for k in range(5)]
    alone = [of_trial(k, {"stable": 10, "b": 10}) for k in range(5, 9)]
    chart = draw([error_gate()], a_trial(), [*both, *alone], points=99)
    assert [(s.variant, len(s.points)) for s in chart.gates] == [("b", 9), ("c", 5)]
    assert [(s.arm, len(s.points)) for s in compared(chart).arms] == [
        ("stable", 9),
        ("b", 9),
        ("c", 5),
    ]
    pairs = [each.pair("b", "stable") for each in (*both, *alone)]
    told = judge([error_gate()], pairs, step=2)[0]
    assert shown(chart.gates[0].points[-1].verdict) == shown(told)
    assert {p.weight for p in chart.gates[1].points} == {33}
    assert {p.counts.weight for p in compared(chart).arms[1].points} == {33, 50}


def test_who_won_is_seen_with_the_evidence_that_it_won_by():
    worse = {"stable": 0, "b": 200, "c": 300}
    chart = draw([], a_trial(), [of_trial(k, worse) for k in range(9)], points=1)
    end = compared(chart).points[-1]
    assert (end.outcome, end.winner) == (Outcome.WINNER, "stable")
    assert end.strongest.better == "stable"
    assert end.strongest.odds >= compared(chart).odds_needed == pytest.approx(2 / 0.05)
    assert end.alike is None
    assert compared(chart).arms[2].points[-1].verdict.standing is Standing.ELIMINATED


def test_how_far_each_arm_is_off_its_share_is_in_the_chart_of_a_trial():
    even = {"stable": 10, "b": 10, "c": 10}
    chart = compared(draw([], a_trial(), [of_trial(k, even, skew=9) for k in range(3)], points=9))
    off_by = {arm.arm: [point.off_by for point in arm.points] for arm in chart.arms}
    for arm, expected in {"stable": 42 / 36 - 1, "b": 33 / 36 - 1, "c": 33 / 36 - 1}.items():
        assert off_by[arm] == pytest.approx([expected] * 3)
    (*_, last) = chart.points
    assert (last.split.arm, last.split.off_by) == ("stable", pytest.approx(1 / 6))
    assert last.split.in_doubt == (last.split.odds >= last.split.odds_needed)


def test_an_interval_of_no_trial_is_refused_in_one():
    drawing = Drawing([], a_trial(), [], points=9)
    with pytest.raises(TypeError, match="is of no trial"):
        drawing.add(interval(0, *HEALTHY))


def test_as_many_series_are_drawn_as_are_announced():
    for gates, trial in ((GATES, None), (GATES, a_trial()), ([], None), ([], a_trial())):
        chart = draw(gates, trial, [], points=9)
        beside = 0 if chart.trial is None else len(compared(chart).arms) + 1
        assert series_of(gates, trial) == len(chart.gates) + beside
