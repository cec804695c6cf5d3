"""Steps with margins: one confidence sequence over the whole rollout says when each may end."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence import rate_ratio
from domain.evidence.judge import judge
from domain.evidence.rate_ratio import RatioTest
from domain.gates import AgainstStable
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, latency_gate, run, unhurried
from tests.domain.evidence.test_validity import NEEDED

MARGINS = {0: 4.0, 1: 2.5, 2: 1.75, 3: 1.5}
# Far below what fails, so that only the ratio can give a PASS.
NO_FLOOR = AgainstStable(floor=1e-6)
GATE = error_gate(against_stable=NO_FLOOR)
EQUAL = ((100, 2), (900, 18))
AT_FIRST, LATER = run([EQUAL] * 60), run([EQUAL] * 60, start=60, step=1)


def first_pass(intervals, step, gate=GATE, **terms):
    """After how many intervals of the step it passes."""
    here = [i for i, each in enumerate(intervals) if each.step == step]
    for count, i in enumerate(here, 1):
        if judge([gate], intervals[: i + 1], step=step, **terms)[0].status is Status.PASS:
            return count
    return None


def test_a_step_ends_when_the_ratio_lies_below_its_margin():
    count = first_pass(AT_FIRST, 0, margins=MARGINS)
    assert count is not None
    (before,) = judge([GATE], AT_FIRST[: count - 1], step=0, margins=MARGINS)
    (found,) = judge([GATE], AT_FIRST[:count], step=0, margins=MARGINS)
    assert before.status is Status.UNDECIDED
    assert "times, and this step asks for less than 4 over the whole rollout" in before.reason
    assert before.seconds_to_pass is not None
    assert "below the 4 that this step asks for" in found.reason
    assert found.evidence is not None
    assert found.evidence.pass_ >= found.evidence.pass_needed == 20
    assert found.effect is not None
    assert found.effect.high < 4


def test_a_small_step_needs_less_than_a_pass_of_its_own():
    assert first_pass(AT_FIRST, 0, margins=MARGINS) < (first_pass(AT_FIRST, 0) or math.inf)


def test_what_was_proven_before_a_step_counts_at_it():
    both = AT_FIRST + LATER
    assert first_pass(both, 1, margins=MARGINS) == 1
    assert first_pass(both, 1) != 1


def test_each_step_asks_for_its_own_margin():
    found = [judge([GATE], AT_FIRST[:20], step=0, margins={0: m})[0].status for m in (4, 1.2)]
    assert found == [Status.PASS, Status.UNDECIDED]


def test_a_step_without_a_margin_keeps_earning_its_pass():
    assert judge([GATE], AT_FIRST, step=0, margins={1: 4.0}) == judge([GATE], AT_FIRST, step=0)


def test_a_fraction_below_the_floor_ends_a_step_whatever_the_ratio():
    gate = error_gate(against_stable=AgainstStable(floor=0.05))
    few = run([((400, 0), (100, 0))] * 3)
    (found,) = judge([gate], few, step=0, margins=MARGINS)
    assert found.status is Status.PASS
    assert "less than 5 % of requests" in found.reason


def test_a_step_is_not_ended_before_its_candidate_had_a_request():
    nothing = run([((0, 0), (900, 18))], start=60, step=1)
    (found,) = judge([GATE], AT_FIRST + nothing, step=1, margins=MARGINS)
    assert found.status is Status.UNDECIDED


def test_a_limit_is_proven_at_each_step_anew():
    limited = error_gate(against_stable=None, limit=0.03)
    both = AT_FIRST + LATER
    assert first_pass(both, 1, limited, margins=MARGINS) == first_pass(both, 1, limited)
    beside = replace(limited, against_stable=NO_FLOOR)
    (found,) = judge([beside], both[:61], step=1, margins=MARGINS)
    assert found.status is Status.UNDECIDED
    assert "less than 3 % of requests" in found.reason


def test_what_fails_is_not_saved_by_a_wide_margin():
    bad = run([((100, 12), (900, 18))] * 30)
    (found,) = judge([GATE], bad, step=0, margins={0: 16.0})
    assert found.status is Status.FAIL


def test_a_latency_gate_climbs_the_same_ladder():
    gate = latency_gate(against_stable=NO_FLOOR)
    rows = [
        replace(each, candidate=slow(each.candidate), stable=slow(each.stable), bounds_ms=(250.0,))
        for each in AT_FIRST
    ]
    (found,) = judge([gate], rows, step=0, margins=MARGINS)
    assert "that this step asks for" in found.reason


def slow(counts):
    return replace(counts, errors=0, within=(counts.requests - counts.errors,))


@unhurried
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 90)), min_size=1, max_size=30),
    margin=st.floats(1.01, 16),
    beta=st.floats(0.001, 0.5),
)
def test_whatever_a_margin_refutes_the_confidence_sequence_leaves_out(rows, margin, beta):
    test = RatioTest(fail_ratio=1.25, pass_ratio=1.5)
    ell = test.nothing()
    for c, b in rows:
        ell += test.increment((100, c), (900, b))
    _, high = rate_ratio.confidence_sequence(ell, 1 - beta)
    log_e = float(rate_ratio.log_e_below(ell, margin))
    if log_e >= math.log(1 / beta) + 1e-9:
        assert high <= margin * (1 + 1e-9)


@pytest.mark.parametrize("margin", [2.5, 1.5])
def test_a_candidate_at_the_margin_of_a_step_seldom_ends_it(margin):
    rng, test = np.random.default_rng(21), RatioTest(fail_ratio=1.0, pass_ratio=1.5)
    ell = np.zeros((400, len(test.nothing())))
    passed = np.zeros(400, dtype=bool)
    for _ in range(600):
        c = rng.binomial(25, 0.01 * margin, size=(400, 1)).astype(np.float64)
        b = rng.binomial(475, 0.01, size=(400, 1)).astype(np.float64)
        ell += test.increment((25, c), (475, b))
        passed |= rate_ratio.log_e_below(ell, margin) >= NEEDED
    assert 0 < passed.mean() <= 0.075
