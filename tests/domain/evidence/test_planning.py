"""What is told before a start is what simulated rollouts then take, at the median."""

import math
from datetime import timedelta
from statistics import median

import numpy as np
import pytest

from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import Judge
from domain.evidence.planning import Forecaster, Shares, median_pace
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON

LIVES = 61
LOOKS = 40  # within the time that is told; a median is to be seen much finer than it is told
WITHIN = 0.25
MARGINS = AgainstStable()


def gate(**rules):
    return Gate(name="errors", metric=Metric.ERROR_RATE, **rules)


def forecaster(one, *, rps=100.0, bad=0.01, rules=1, phi=1.0):
    return Forecaster(one, rules=rules, requests_per_second=rps, bad=bad, phi=phi)


def at(share):
    return Shares(candidate=share, stable=1 - share)


def life(chance, one, status, *, rps, share, bad, candidate_bad, probe):
    """When a simulated rollout first has the status; infinite where that takes too long."""
    judge = Judge((one,))
    for k in range(8 * LOOKS):
        requests = chance.poisson([rps * share * probe, rps * (1 - share) * probe])
        failed = chance.binomial(requests, [candidate_bad, bad])
        judge.add(
            Interval(
                sequence=k,
                step=0,
                weight=round(100 * share),
                opened_at=NOON + timedelta(seconds=k * probe),
                closed_at=NOON + timedelta(seconds=(k + 1) * probe),
                candidate=Counts(requests=int(requests[0]), errors=int(failed[0])),
                stable=Counts(requests=int(requests[1]), errors=int(failed[1])),
            )
        )
        if judge.statuses(0)[0] is status:
            return (k + 1) * probe
    return math.inf


def simulated(told, one, status, **world):
    chance = np.random.default_rng(20261128)
    probe = told / LOOKS
    return median(life(chance, one, status, probe=probe, **world) for _ in range(LIVES))


@pytest.mark.parametrize(
    ("rps", "share", "bad", "ratio"),
    [(100, 0.05, 0.01, 2), (100, 0.05, 0.01, 10), (100, 0.25, 0.01, 3), (1000, 0.1, 0.002, 5)],
)
def test_a_regression_is_found_when_it_was_told(rps, share, bad, ratio):
    one = gate(against_stable=MARGINS)
    told = forecaster(one, rps=rps, bad=bad).seconds_to_find(at(share), ratio)
    world = {"rps": rps, "share": share, "bad": bad, "candidate_bad": ratio * bad}
    assert simulated(told, one, Status.FAIL, **world) == pytest.approx(told, rel=WITHIN)


@pytest.mark.parametrize(
    ("rules", "share", "bad"),
    [
        ({"against_stable": MARGINS}, 0.05, 0.01),
        ({"against_stable": AgainstStable(pass_ratio=2)}, 0.05, 0.01),
        ({"against_stable": MARGINS}, 0.1, 0.0002),
        ({"against_stable": AgainstStable(floor=0.05)}, 0.1, 0.01),
        ({"limit": 0.01}, 0.1, 0.001),
    ],
)
def test_an_equal_candidate_passes_when_it_was_told(rules, share, bad):
    one = gate(**rules)
    told = forecaster(one, bad=bad).seconds_to_pass(at(share))
    world = {"rps": 100, "share": share, "bad": bad, "candidate_bad": bad}
    assert simulated(told, one, Status.PASS, **world) == pytest.approx(told, rel=WITHIN)


@pytest.mark.parametrize(("share", "ratio"), [(0.05, 2), (0.05, 3), (0.1, 3), (0.25, 2)])
def test_it_agrees_with_the_planning_formula(share, ratio):
    """docs/statistics.md 2a: median = (log(1/alpha) + 0.3) / (L I)."""
    rps, bad, alpha = 100, 0.01, 0.05

    def of_bad(rho):
        return rho * share / (rho * share + 1 - share)

    true, null = of_bad(ratio), of_bad(MARGINS.fail_ratio)
    information = true * math.log(true / null) + (1 - true) * math.log((1 - true) / (1 - null))
    bad_per_second = bad * (1 - share + share * ratio) * rps
    formula = (math.log(1 / alpha) + 0.3) / (bad_per_second * information)
    told = forecaster(gate(against_stable=MARGINS)).seconds_to_find(at(share), ratio)
    assert told == pytest.approx(formula, rel=WITHIN)


def test_the_smallest_regression_is_found_just_within_the_soak():
    asked = forecaster(gate(against_stable=MARGINS))
    outlook = asked.outlook(at(0.1), 600)
    assert outlook.smallest_fraction == pytest.approx(outlook.smallest_ratio * 0.01)
    # The ratio is searched for to 1 %, which here is 6 % of the time and never too little.
    assert 0.92 * 600 < asked.seconds_to_find(at(0.1), outlook.smallest_ratio) <= 600
    assert asked.outlook(at(0.1), 3600).smallest_ratio < outlook.smallest_ratio


def test_where_stable_has_no_bad_request_only_a_fraction_can_be_told():
    outlook = forecaster(gate(against_stable=MARGINS), bad=0.0).outlook(at(0.1), 600)
    told = (outlook.seconds_to_find_double, outlook.seconds_to_find_tenfold, outlook.smallest_ratio)
    assert told == (None, None, None)
    assert 0.001 < outlook.smallest_fraction < 0.01
    assert outlook.seconds_to_pass == pytest.approx(4656 / 10, rel=0.02)  # as docs/gates.md has it


def test_more_weight_more_traffic_and_less_scatter_are_faster():
    one = gate(against_stable=MARGINS)
    base = forecaster(one).seconds_to_pass(at(0.1))
    assert forecaster(one).seconds_to_pass(at(0.25)) < base
    assert forecaster(one, rps=200).seconds_to_pass(at(0.1)) == pytest.approx(base / 2, rel=0.03)
    assert forecaster(one, phi=2).seconds_to_pass(at(0.1)) == pytest.approx(2 * base, rel=0.03)


def test_more_rules_make_a_fail_later_and_a_pass_no_later():
    one = gate(against_stable=MARGINS)
    alone, among = forecaster(one), forecaster(one, rules=4)
    assert among.seconds_to_find(at(0.1), 2) > 1.2 * alone.seconds_to_find(at(0.1), 2)
    assert among.seconds_to_pass(at(0.1)) == alone.seconds_to_pass(at(0.1))


def test_a_latency_gate_counts_slow_requests():
    slow = Gate(
        name="slow", metric=Metric.LATENCY, slow_over_ms=250, against_stable=AgainstStable()
    )
    errors = gate(against_stable=AgainstStable())
    assert forecaster(slow).outlook(at(0.1), 600) == forecaster(errors).outlook(at(0.1), 600)


def test_what_does_not_come_about_has_no_time():
    one = gate(limit=0.01)
    assert forecaster(one, bad=0.02).seconds_to_pass(at(0.1)) is None
    assert forecaster(one, bad=0.001).seconds_to_find(at(0.1), 2) is None
    assert forecaster(one).outlook(at(0.1), 0).smallest_fraction is None


@pytest.mark.parametrize("needed", [2.0, 3.0, 6.0])
def test_the_pace_is_below_one_and_one_where_nothing_is_left_to_chance(needed):
    assert median_pace(needed, 0.0) == 1.0
    assert 0.6 < median_pace(needed, 1.0) <= median_pace(needed, 0.5) < median_pace(needed, 0.01)
    assert median_pace(needed, 0.01) <= 1.0
