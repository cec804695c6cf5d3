import dataclasses
import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence.intervals import Counts
from domain.evidence.judge import Judge, judge
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON, error_gate, interval, latency_gate, run, unhurried

HEALTHY = ((30, 0), (270, 0))
FAILING = ((30, 9), (270, 0))


def verdict(gate: Gate, intervals, *, step: int = 0, phi: float = 1.0):
    (only,) = judge([gate], intervals, step=step, phi=phi)
    return only


# What is said in words


def test_a_failing_candidate_beside_a_stable_with_errors():
    found = verdict(error_gate(), run([((1209, 40), (22801, 223))]))
    assert found.status is Status.FAIL
    assert found.reason == (
        "40 of 1,209 candidate requests failed, about 12 expected at stable's rate (223 of 22,801 "
        "stable requests): 3.4 times as often (between 1.8 and 6, 95 % at any look). Evidence "
        '56,676:1 against "at most 1.25 times stable\'s rate, or at most 0.1 % of requests"; 20:1 '
        "was required."
    )


def test_a_failing_candidate_beside_a_stable_without_errors():
    found = verdict(error_gate(), run([FAILING]))
    assert found.status is Status.FAIL
    assert found.reason == (
        "9 of 30 candidate requests failed, and 0 of 270 stable requests: at least 3.2 times as "
        "often (95 % at any look). Evidence 179,398:1 against \"at most 1.25 times stable's rate, or "
        'at most 0.1 % of requests"; 20:1 was required.'
    )


def test_a_candidate_above_its_limit():
    gate = error_gate(against_stable=None, limit=0.01)
    found = verdict(gate, run([((1000, 40), (9000, 300))]))
    assert found.status is Status.FAIL
    assert found.reason == (
        "40 of 1,000 candidate requests failed, about 33 expected at stable's rate (300 of 9,000 "
        "stable requests): 1.2 times as often (between 0.72 and 1.9, 95 % at any look). That is "
        "4 % (between 2.32 % and 6.19 %, 95 % at any look); at most 1 % is allowed. Evidence "
        'over 1,000,000:1 against "at most 1 % of requests"; 20:1 was required.'
    )


def test_a_late_failure_says_since_when():
    gate = error_gate(against_stable=None, limit=0.05)
    found = verdict(gate, run([HEALTHY] * 60 + [FAILING] * 3))
    assert found.status is Status.FAIL
    assert "18 of 1,860 candidate requests failed" in found.reason
    assert (
        "Since 2026-03-01 12:01:00 UTC: 18 of 60 candidate requests, 0 of 540 stable"
        in found.reason
    )


def test_a_pass_by_the_ratio_counts_its_own_step_only():
    ramp = [*run([((100, 2), (1900, 40))] * 10), *run([((500, 4), (1500, 15))] * 30, start=10, step=1, weight=25)]  # fmt: skip
    found = verdict(error_gate(), ramp, step=1)
    assert found.status is Status.PASS
    assert found.seconds_to_pass == 0
    assert found.reason.endswith(
        "Good enough at 25 % weight (120 of 15,000 candidate requests, 450 of 45,000 stable "
        "requests): evidence over 1,000,000:1 for \"less than 1.5 times stable's rate, or less than "
        '0.1 % of requests" (20:1 was required).'
    )
    assert found.samples is not None
    assert found.samples.candidate_requests == 16_000


def test_a_pass_by_the_floor_without_any_error():
    found = verdict(error_gate(), run([HEALTHY] * 160))
    assert found.status is Status.PASS
    assert found.reason == (
        "0 of 4,800 candidate requests and 0 of 43,200 stable requests failed. Good enough at 10 % "
        "weight: evidence 22.6:1 for \"less than 1.5 times stable's rate, or less than 0.1 % of "
        'requests" (20:1 was required).'
    )


def test_too_little_data_says_what_is_still_needed():
    found = verdict(error_gate(), run([HEALTHY] * 140))
    assert found.status is Status.UNDECIDED
    assert found.reason == (
        "0 of 4,200 candidate requests and 0 of 37,800 stable requests failed. Not enough data yet "
        "at 10 % weight: evidence 13.6:1 for \"less than 1.5 times stable's rate, or less than 0.1 "
        '% of requests" (20:1 is required); needs about 16 more seconds at this rate.'
    )


@pytest.mark.parametrize(
    ("intervals", "told"),
    [(160, "failed. Good enough: evidence"), (140, "failed. Not enough data yet: evidence")],
)
def test_a_weight_that_is_unknown_is_no_part_of_the_sentence(intervals, told):
    found = verdict(error_gate(), run([HEALTHY] * intervals, weight=0))
    assert told in found.reason
    assert "weight" not in found.reason


def test_a_candidate_at_its_limit_has_no_pass_in_sight():
    gate = error_gate(against_stable=None, limit=0.02)
    found = verdict(gate, run([((3000, 63), (27000, 567))]))
    assert found.status is Status.UNDECIDED
    assert found.seconds_to_pass is None
    assert found.reason.endswith("at these rates a pass is not in sight.")


def test_one_of_a_thing_is_singular():
    found = verdict(error_gate(), run([((1, 1), (1, 0))]))
    assert "1 of 1 candidate request failed, and 0 of 1 stable request: " in found.reason


def test_slow_responses_are_named_with_their_bound():
    rows = [interval(0, (1000, 80), (9000, 180), metric=Metric.LATENCY)]
    found = verdict(latency_gate(), rows)
    assert found.status is Status.FAIL
    assert found.reason.startswith(
        "80 of 1,000 candidate requests took longer than 250 ms, about 20 "
    )


# When there is nothing to judge


def test_without_intervals_nothing_is_known():
    found = verdict(error_gate(), [])
    assert (found.status, found.reason) == (
        Status.UNDECIDED,
        "No request has reached the candidate yet.",
    )


def test_without_requests_it_says_since_when():
    silent = ((0, 0), (300, 0))
    found = verdict(error_gate(), run([silent] * 5))
    assert found.reason == "No request has reached the candidate since 2026-03-01 12:00:00 UTC."
    later = [*run([HEALTHY] * 10), *run([silent] * 5, start=10, step=1)]
    found = verdict(error_gate(), later, step=1)
    assert found.status is Status.UNDECIDED
    assert found.reason == "No request has reached the candidate since 2026-03-01 12:00:10 UTC."


def test_a_step_without_intervals_of_its_own_is_undecided_whatever_came_before():
    found = verdict(error_gate(), run([HEALTHY] * 500), step=1)
    assert found.status is Status.UNDECIDED


def test_without_requests_of_stable_only_the_floor_can_pass():
    alone = ((300, 0), (0, 0))
    assert verdict(error_gate(), run([alone] * 20)).status is Status.PASS
    found = verdict(error_gate(), run([((300, 5), (0, 0))] * 20))
    assert found.status is Status.UNDECIDED
    assert found.reason.startswith(
        "100 of 6,000 candidate requests failed; stable had no request to compare with."
    )


def test_a_bound_that_is_not_counted_is_unavailable_and_names_those_that_are():
    rows = [interval(0, (30, 0), (270, 0), metric=Metric.LATENCY)]
    found = verdict(latency_gate(slow_over_ms=300), rows)
    assert found.status is Status.UNAVAILABLE
    assert found.reason == (
        "Responses slower than 300 ms cannot be counted: the source counts at 250, 1,000 ms."
    )
    found = verdict(latency_gate(), run([HEALTHY]))
    assert found.reason == (
        "Responses slower than 250 ms cannot be counted: the source shows no latency histogram."
    )


def test_latency_counts_what_was_timed_where_the_histogram_lags_the_counters():
    def lagging(sequence: int):
        base = interval(sequence, (30, 0), (270, 0))
        arm = Counts(requests=30, errors=0, within=(0, 0), timed=0)
        return dataclasses.replace(base, candidate=arm, stable=arm, bounds_ms=(250.0, 1000.0))

    found = verdict(latency_gate(limit=0.01), [lagging(k) for k in range(20)])
    assert found.status is Status.UNDECIDED
    assert found.reason == (
        "No response of the candidate has been timed since 2026-03-01 12:00:00 UTC."
    )


def test_a_gate_without_a_rule_never_passes():
    found = verdict(error_gate(against_stable=None), run([HEALTHY] * 500))
    assert found.status is Status.UNDECIDED
    assert found.reason.endswith("The gate has no rule to judge by.")


def test_no_gates_no_verdicts():
    assert judge([], run([HEALTHY]), step=0) == ()


def test_intervals_out_of_order_are_refused():
    fold = Judge([error_gate()])
    fold.add(interval(3, *HEALTHY))
    with pytest.raises(ValueError, match="interval 3 came after 3"):
        fold.add(interval(3, *HEALTHY))


# Rules and thresholds


def test_every_rule_of_the_family_raises_what_a_fail_needs():
    gates = [error_gate(limit=0.05), latency_gate(), error_gate(against_stable=None, limit=0.01)]
    first, *_ = judge(gates, run([HEALTHY]), step=0)
    assert first.evidence is not None
    assert first.evidence.fail_needed == pytest.approx(4 / 0.05)
    assert first.evidence.pass_needed == pytest.approx(1 / 0.05)


def test_a_gate_with_both_rules_fails_by_either_and_passes_by_both():
    gate = error_gate(limit=0.02)
    equal_but_above = run([((300, 12), (2700, 108))] * 20)
    found = verdict(gate, equal_but_above)
    assert found.status is Status.FAIL
    assert 'against "at most 2 % of requests"' in found.reason
    worse_but_below = run([((300, 3), (2700, 3))] * 20)
    found = verdict(gate, worse_but_below)
    assert found.status is Status.FAIL
    assert "1.25 times stable's rate" in found.reason
    only_limit_proven = run([((3000, 30), (27000, 240))])
    found = verdict(gate, only_limit_proven)
    assert found.status is Status.UNDECIDED
    assert "less than 2 % of requests" not in found.reason
    assert verdict(gate, run([((3000, 15), (27000, 135))] * 5)).status is Status.PASS


def test_below_the_floor_no_ratio_fails():
    tiny = run([((10_000, 4), (90_000, 4))] * 10)
    gate = error_gate(against_stable=AgainstStable(floor=0.001))
    assert verdict(gate, tiny).status is Status.PASS
    strict = error_gate(against_stable=AgainstStable(floor=0.00001))
    assert verdict(strict, tiny).status is Status.FAIL


def test_common_events_stay_judgeable():
    both_slow = [interval(k, (30, 24), (270, 216), metric=Metric.LATENCY) for k in range(200)]
    assert verdict(latency_gate(), both_slow).status is Status.PASS
    worse = [interval(k, (30, 29), (270, 140), metric=Metric.LATENCY) for k in range(200)]
    assert verdict(latency_gate(), worse).status is Status.FAIL


def test_a_pass_is_earned_anew_at_each_weight_but_a_fail_adds_up():
    passed = run([((300, 3), (2700, 27))] * 60)
    assert verdict(error_gate(), passed).status is Status.PASS
    more = [*passed, *run([((300, 3), (2700, 27))] * 2, start=60, step=1, weight=20)]
    assert verdict(error_gate(), more, step=1).status is Status.UNDECIDED
    assert verdict(error_gate(), more, step=0).status is Status.PASS
    half = run([((300, 8), (2700, 36))] * 3)
    rest = run([((600, 16), (2400, 33))] * 3, start=3, step=1, weight=20)
    assert verdict(error_gate(), half).status is Status.UNDECIDED
    assert verdict(error_gate(), rest, step=1).status is Status.UNDECIDED
    assert verdict(error_gate(), [*half, *rest], step=1).status is Status.FAIL


def test_a_fail_is_for_good_and_keeps_what_it_was_said_with():
    crossing = run([HEALTHY] * 5 + [FAILING])
    first = verdict(error_gate(), crossing)
    healed = [*crossing, *run([((300, 0), (2700, 30))] * 300, start=6, step=1, weight=50)]
    assert first.status is Status.FAIL
    assert verdict(error_gate(), healed, step=1) == first


def test_overdispersion_asks_for_more():
    assert verdict(error_gate(), run([FAILING]), phi=1.0).status is Status.FAIL
    assert verdict(error_gate(), run([FAILING]), phi=5.0).status is Status.UNDECIDED


# The sandbox's promise


@pytest.mark.parametrize("floor", [0.001, 0.01])
@pytest.mark.parametrize("healthy_seconds", [0, 1, 9, 59, 60, 61, 119, 600])
def test_thirty_percent_errors_at_thirty_requests_per_second_fail_in_two_intervals(
    floor, healthy_seconds
):
    gates = [error_gate(against_stable=AgainstStable(floor=floor)), latency_gate()]
    fold = Judge(gates)
    for each in run([HEALTHY] * healthy_seconds):
        fold.add(each)
    # The fault begins somewhere inside an interval: three bad at least, then nine a second.
    for each in run([((30, 3), (270, 0)), FAILING], start=healthy_seconds):
        fold.add(each)
    assert fold.verdicts(0)[0].status is Status.FAIL


def fewest(gate: Gate, family: list[Gate], *, before: int = 60) -> int:
    """How many bad responses of a candidate at 10 % fail, 30 % of its requests after health."""
    for bad in range(1, 100):
        fold = Judge([gate, *family])
        requests = math.ceil(bad / 0.3)
        for each in run([*[HEALTHY] * before, ((requests, bad), (9 * requests, 0))]):
            fold.add(each)
        if fold.verdicts(0)[0].status is Status.FAIL:
            return bad
    raise AssertionError("never fails")


@pytest.mark.parametrize(
    ("floor", "rules", "bad"),
    [(0.001, 1, 4), (0.001, 2, 5), (0.001, 4, 5), (0.01, 1, 5), (0.01, 2, 5), (0.01, 4, 6)],
)
def test_so_few_bad_responses_are_enough(floor, rules, bad):
    gate = error_gate(against_stable=AgainstStable(floor=floor))
    family = [latency_gate()] * (rules - 1)
    assert fewest(gate, family) == bad


@pytest.mark.parametrize(("floor", "requests"), [(0.001, 4656), (0.01, 464)])
def test_so_many_requests_without_an_error_pass(floor, requests):
    gate = error_gate(against_stable=AgainstStable(floor=floor))
    few, enough = (run([((n, 0), (9 * n, 0))]) for n in (requests - 1, requests))
    assert verdict(gate, few).status is Status.UNDECIDED
    assert verdict(gate, enough).status is Status.PASS


# Forecasts


@pytest.mark.parametrize(("requests_per_second", "seconds"), [(10, 6068), (100, 605), (1000, 70)])
def test_the_forecast_agrees_with_the_simulated_time_to_pass(requests_per_second, seconds):
    # docs/statistics.md 3c, margin 1.5, 5 % weight, 1 % errors; here the floor takes its half on top.
    n = 60 * requests_per_second
    seen = interval(0, (n // 20, n // 2000), (n - n // 20, (n - n // 20) // 100), seconds=60)
    gate = error_gate(against_stable=AgainstStable(floor=1e-6))
    found = verdict(gate, [seen])
    left = found.seconds_to_pass
    assert left is not None
    assert 0.7 < (left + 60) / (seconds * math.log(40) / math.log(20)) < 1.4


def test_the_forecast_runs_down_to_the_pass():
    gate, fold, promised = error_gate(), Judge([error_gate()]), []
    for each in run([HEALTHY] * 156):
        fold.add(each)
        promised.append(fold.verdicts(0)[0].seconds_to_pass)
    assert gate.against_stable is not None
    assert promised[-1] == 0
    ends = [now + left for now, left in enumerate(promised, 1) if left]
    assert max(ends) - min(ends) < 4


# Incremental, batch, latch

ARM = st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, min(n, 30))))
ROWS = st.lists(st.tuples(ARM, ARM, st.booleans()), min_size=1, max_size=80)
GATES = st.lists(
    st.builds(
        error_gate,
        against_stable=st.none() | st.builds(AgainstStable, floor=st.sampled_from([0.001, 0.02])),
        limit=st.none() | st.sampled_from([0.01, 0.1]),
    ),
    min_size=1,
    max_size=3,
)


def climbing(rows):
    """Intervals whose step goes up where a row says so."""
    step, intervals = 0, []
    for sequence, (candidate, stable, is_next_step) in enumerate(rows):
        step += is_next_step
        intervals.append(
            interval(sequence, candidate, stable, step=step, weight=min(100, 5 + 5 * step))
        )
    return intervals


@unhurried
@given(gates=GATES, rows=ROWS)
def test_fed_one_by_one_it_says_the_same_bit_for_bit_and_fails_for_good(gates, rows):
    intervals, fold = climbing(rows), Judge(gates)
    failed: dict[int, object] = {}
    for count, each in enumerate(intervals, 1):
        fold.add(each)
        verdicts = fold.verdicts(each.step)
        assert fold.verdicts(each.step) == verdicts
        if count % 13 == 0 or count == len(intervals):
            assert judge(gates, intervals[:count], step=each.step) == verdicts
        for index, found in enumerate(verdicts):
            assert failed.get(index, found) == found
            if found.status is Status.FAIL:
                failed[index] = found
            if found.evidence and found.status in {Status.PASS, Status.UNDECIDED}:
                assert (found.evidence.pass_ >= found.evidence.pass_needed) == (
                    found.status is Status.PASS
                )


@unhurried
@given(rows=ROWS)
def test_a_verdict_is_finite_and_agrees_with_itself(rows):
    for found in judge([error_gate(limit=0.05)], climbing(rows), step=0):
        if found.evidence:
            numbers = dataclasses.astuple(found.evidence)
            assert all(math.isfinite(number) and number > 0 for number in numbers)
        if found.effect:
            assert 0 < found.effect.low < found.effect.high <= 64
        if found.status is Status.FAIL:
            assert found.evidence is not None
            assert found.evidence.fail >= found.evidence.fail_needed
            assert found.seconds_to_pass is None


def test_huge_counts_neither_overflow_nor_slip():
    billion = 10**9
    gates = [error_gate(limit=0.05, alpha=1e-6), latency_gate()]
    fair = [interval(k, (billion, billion // 100), (9 * billion, 9 * billion // 100)) for k in range(50)]  # fmt: skip
    found, _ = judge(gates, fair, step=0)
    assert found.status is Status.PASS
    bad = [interval(50, (billion, billion // 2), (9 * billion, 0))]
    found, _ = judge(gates, [*fair, *bad], step=0)
    assert found.status is Status.FAIL
    assert found.evidence is not None
    assert math.isfinite(found.evidence.fail)


def test_samples_cover_the_whole_rollout():
    rows = [*run([HEALTHY] * 3), *run([FAILING], start=3, step=1)]
    resets = [dataclasses.replace(each, resets=2) for each in rows]
    samples = verdict(error_gate(), resets, step=1).samples
    assert samples is not None
    assert (samples.candidate_requests, samples.candidate_bad) == (120, 9)
    assert (samples.intervals, samples.resets) == (4, 8)
    assert (samples.opened_at, samples.closed_at) == (NOON, NOON + timedelta(seconds=4))


def test_seeded_lives_of_a_healthy_candidate_pass_and_never_fail():
    rng = np.random.default_rng(5)
    for _ in range(20):
        n_c, n_b = rng.poisson(30, 300), rng.poisson(270, 300)
        rows = [
            ((int(n), int(rng.binomial(n, 0.01))), (int(m), int(rng.binomial(m, 0.01))))
            for n, m in zip(n_c, n_b, strict=True)
        ]
        assert verdict(error_gate(), run(rows)).status in {Status.PASS, Status.UNDECIDED}
