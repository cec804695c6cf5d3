"""Evidence restarts with more where the candidate's weight rises: many regressions come with load."""

from dataclasses import replace

import pytest

from domain.evidence.baseline import Baseline
from domain.evidence.judge import Judge
from domain.gates import AgainstStable
from tests.domain.evidence.scenes import error_gate, interval, latency_gate

BEFORE, AFTER = 200, 12
ONLY_RATIO = 1e-9
SLOWER = replace(latency_gate(against_stable=AgainstStable(fail_ratio=1.0)), slow_over_ms=None)
GATES = {
    "against stable": error_gate(against_stable=AgainstStable(floor=ONLY_RATIO)),
    "above a limit": error_gate(against_stable=None, limit=0.012),
    "slower at a bound of stable's": SLOWER,
}


def evidence(gate, weight: int, *, before: int = 10) -> float:
    """Odds for FAIL, of a candidate that is bad from the interval on at which it has `weight`."""
    gate = replace(gate, alpha=1e-12)  # so that no FAIL stops the counting
    judge = Judge([gate], baseline=Baseline(phi=1.0, slow_bounds={gate.name: (250.0,)}))
    for k in range(BEFORE + AFTER):
        is_bad = k >= BEFORE
        judge.add(
            interval(
                k,
                (500, 12 if is_bad else 5),
                (2000, 20),
                weight=weight if is_bad else before,
                metric=gate.metric,
            )
        )
    found = judge.verdicts(0)[0].evidence
    assert found is not None
    return found.fail


@pytest.mark.parametrize("name", GATES)
def test_a_regression_that_comes_with_a_greater_weight_has_more_evidence(name):
    assert evidence(GATES[name], weight=25) > 3 * evidence(GATES[name], weight=10)


@pytest.mark.parametrize("name", GATES)
def test_a_weight_that_falls_changes_nothing(name):
    assert evidence(GATES[name], weight=5) == evidence(GATES[name], weight=10)
