"""A latency gate that names no bound: it counts at the four that stable's history gave."""

import math
from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from domain.evidence.baseline import Baseline
from domain.evidence.histograms import slow_bounds
from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import Judge, judge
from domain.gates import ENVOY_BOUNDS_MS, AgainstStable
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON, latency_gate

SECONDS = 5
STRICT = AgainstStable(fail_ratio=1.0)
ANY_BOUND = replace(latency_gate(), slow_over_ms=None)
ANY_SLOWER = replace(ANY_BOUND, against_stable=STRICT)
FINE = tuple(100.0 * 2 ** (k / 4) for k in range(-16, 25))
"""Bounds in milliseconds, each a fifth above the one before."""


def usual(rng, n):
    """Answers of stable's, in milliseconds: half within 100, one in a hundred over 800."""
    return 100 * np.exp(0.9 * rng.standard_normal(n))


def a_fifth_slower(rng, n):
    return 1.2 * usual(rng, n)


def slow_at_the_tail(rng, n):
    return usual(rng, n) + 3000 * (rng.random(n) < 0.01)


@cache
def history():
    """The bounds that an hour of stable's shows."""
    seen = np.sort(usual(np.random.default_rng(1), 200_000))
    bounds = (*FINE, math.inf)
    return slow_bounds(bounds, [float(np.searchsorted(seen, bound, "right")) for bound in bounds])


def baseline(bounds=None, phi=1.0):
    return Baseline(phi=phi, slow_bounds={"latency": history() if bounds is None else bounds})


def counts(times, bounds):
    within = np.searchsorted(np.sort(times), bounds, "right")
    return Counts(requests=len(times), errors=0, within=tuple(int(each) for each in within))


def intervals(rng, looks, *, candidate=usual, rate=100, share=0.1, bounds=FINE):
    for k in range(looks):
        n_c, n_b = rng.poisson(SECONDS * rate * np.array([share, 1 - share]))
        yield Interval(
            sequence=k,
            step=0,
            weight=round(100 * share),
            opened_at=NOON + timedelta(seconds=k * SECONDS),
            closed_at=NOON + timedelta(seconds=(k + 1) * SECONDS),
            candidate=counts(candidate(rng, n_c), bounds),
            stable=counts(usual(rng, n_b), bounds),
            bounds_ms=bounds,
        )


def failed_after(gate, rng, looks, **traffic):
    """The seconds until the gate fails; None when it does not within so many looks."""
    fold = Judge([gate], baseline=baseline())
    for each in intervals(rng, looks, **traffic):
        fold.add(each)
        if fold.statuses(0)[0] is Status.FAIL:
            return (each.sequence + 1) * SECONDS
    return None


def evidence_at(bound, seen):
    """That of a gate with one bound."""
    (verdict,) = judge([replace(ANY_BOUND, slow_over_ms=bound)], seen, step=0)
    return verdict.evidence


def told(gate, looks=60, *, seed=5, terms=None, **traffic):
    seen = list(intervals(np.random.default_rng(seed), looks, **traffic))
    return judge([gate], seen, step=0, baseline=terms or baseline())[0]


@pytest.mark.parametrize("gate", [ANY_SLOWER, ANY_BOUND])
def test_equal_versions_seldom_fail_at_any_of_the_bounds(gate):
    found = [failed_after(gate, np.random.default_rng(k), 120, rate=20) for k in range(40)]
    assert sum(each is not None for each in found) <= 3  # 7.5 %


def test_a_candidate_that_is_a_fifth_slower_is_found_within_minutes():
    found = [
        failed_after(ANY_SLOWER, np.random.default_rng(k), 60, candidate=a_fifth_slower)
        for k in range(10)
    ]
    assert all(found)
    assert np.median(found) <= 60


@pytest.mark.parametrize("gate", [ANY_SLOWER, ANY_BOUND])
def test_one_request_in_a_hundred_that_takes_three_seconds_more_is_found(gate):
    found = [
        failed_after(gate, np.random.default_rng(k), 120, candidate=slow_at_the_tail)
        for k in range(10)
    ]
    assert all(found)


def test_a_fail_names_the_bound_with_the_most_evidence_and_what_was_counted_there():
    verdict = told(ANY_BOUND, 120, candidate=slow_at_the_tail)
    assert verdict.status is Status.FAIL
    worst = f"{history()[-1]:,.10g} ms"
    assert f"took longer than {worst}" in verdict.reason
    assert f"Most evidence is at {worst}; the mean over" in verdict.reason
    assert verdict.evidence.fail >= verdict.evidence.fail_needed == 20
    assert verdict.evidence.p_always_valid == pytest.approx(1 / verdict.evidence.fail)
    assert verdict.samples.candidate_bad < 0.1 * verdict.samples.candidate_requests


def test_a_fail_stays_that_of_its_first_crossing():
    seen = list(intervals(np.random.default_rng(5), 200, candidate=slow_at_the_tail))
    fold, first = Judge([ANY_BOUND], baseline=baseline()), None
    for each in seen:
        fold.add(each)
        (verdict,) = fold.verdicts(0)
        if verdict.status is Status.FAIL:
            first = first or verdict
            assert verdict == first
    assert first is not None


def test_the_evidence_of_the_bounds_is_the_mean_of_that_at_each():
    seen = list(intervals(np.random.default_rng(3), 6, candidate=a_fifth_slower))
    (found,) = judge([ANY_BOUND], seen, step=0, baseline=baseline())
    each = [evidence_at(bound, seen) for bound in history()]
    assert found.status is Status.UNDECIDED
    assert found.evidence is not None
    assert found.evidence.fail == pytest.approx(np.mean([one.fail for one in each]))
    assert found.evidence.pass_ == pytest.approx(min(one.pass_ for one in each))


def test_a_pass_is_proven_at_every_bound():
    gate = replace(ANY_BOUND, against_stable=AgainstStable(pass_ratio=2.0))
    verdict = told(gate, 200)
    assert verdict.status is Status.PASS, verdict
    assert verdict.evidence.pass_ >= verdict.evidence.pass_needed
    assert "the bounds that stable's history gave" in verdict.reason
    few = told(gate, 4)
    assert few.status is Status.UNDECIDED
    assert "Not enough data yet" in few.reason
    assert f"{history()[-1]:,.10g} ms is the furthest from a pass" in few.reason


def test_status_and_verdict_say_the_same():
    for gate in (ANY_BOUND, ANY_SLOWER):
        fold = Judge([gate], baseline=baseline())
        for each in intervals(np.random.default_rng(8), 60, candidate=a_fifth_slower):
            fold.add(each)
            assert fold.statuses(0)[0] is fold.verdicts(0)[0].status


def test_a_gate_for_which_nothing_was_measured_says_so():
    verdict = told(ANY_BOUND, terms=Baseline())
    assert verdict.status is Status.UNAVAILABLE
    assert "No latency of stable was measured before the start" in verdict.reason
    assert "slow_over_ms" in verdict.reason


def test_a_bound_that_is_not_counted_any_more_is_no_pass():
    verdict = told(ANY_BOUND, 200, bounds=ENVOY_BOUNDS_MS)
    assert verdict.status is Status.UNAVAILABLE
    assert "cannot be counted" in verdict.reason


def test_a_candidate_without_requests_is_undecided_at_all_bounds():
    assert told(ANY_BOUND, 2, share=0.0).status is Status.UNDECIDED


def test_one_bound_alone_is_told_as_one():
    verdict = told(ANY_BOUND, 10, terms=baseline(history()[:1]))
    assert "Stable's history gave the bound of" in verdict.reason


def test_clusters_slow_the_evidence_of_all_bounds_down():
    seen = {"looks": 6, "candidate": a_fifth_slower}
    doubted = told(ANY_SLOWER, terms=baseline(phi=4.0), **seen).evidence
    assert 1 < doubted.fail < told(ANY_SLOWER, **seen).evidence.fail
