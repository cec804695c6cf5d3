"""What a verdict says beside its ratio: both fractions as such, and what is to be expected.

For people: nothing here decides anything.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

import numpy as np

from domain.evidence import fraction
from domain.evidence.forecasts import Rates, seconds_until
from domain.evidence.fraction import FractionTest
from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.rules import Rule
from domain.evidence.tallies import Tally
from domain.gates import AgainstStable, Gate
from domain.verdicts import Absolute, AtWeight

LEVEL = 0.95
WEIGHTS = (25, 50)
FULL = 100
# Whoever waits for less does not change a weight for it.
WORTH_ASKING_SECONDS = 100.0
WORTH_SAYING = 0.5


def absolute_of(total: Tally, gate: Gate, *, phi: float) -> Absolute | None:
    """Both fractions of all that was counted; None while the candidate had no request."""
    if not total.candidate_requests:
        return None
    candidate = total.candidate_bad / total.candidate_requests
    stable = total.stable_bad / total.stable_requests if total.stable_requests else None
    low, high = fraction.confidence_sequence(
        total.candidate_bad / phi, total.candidate_requests / phi, alpha=1 - LEVEL
    )
    return Absolute(
        candidate=candidate,
        low=low,
        high=high,
        level=LEVEL,
        stable=stable,
        difference_points=None if stable is None else 100 * (candidate - stable),
        floor=gate.against_stable.floor if gate.against_stable else None,
        limit=gate.limit,
    )


def seconds_to_pass(
    rules: Iterable[Rule], step: Tally, rates: Rates, needed: float
) -> float | None:
    """Until the slowest rule has its PASS; None when one of them has none in sight."""
    longest = 0.0
    for rule in rules:
        seconds = seconds_until(partial(rule.log_e_pass_later, step, rates), needed)
        if seconds is None:
            return None
        longest = max(longest, seconds)
    return longest


def at_other_weights(
    rules: Sequence[Rule], step: Tally, rates: Rates, needed: float
) -> tuple[AtWeight, ...]:
    """How long a PASS takes from now on at the larger usual weights, as far as one is in sight.

    The candidate gets more in proportion, and stable gives it. What the step has counted so far is
    kept, although a new step would begin anew: it is little where the wait is long.
    """
    weight = step.weight or 0
    found = []
    for other in (each for each in WEIGHTS if 0 < weight < each):
        moved = rates.scaled(other / weight, (FULL - other) / (FULL - weight))
        seconds = seconds_to_pass(rules, step, moved, needed)
        if seconds is not None:
            found.append(AtWeight(weight=other, seconds=seconds))
    return tuple(found)


def sooner(seconds: float | None, others: Iterable[AtWeight]) -> AtWeight | None:
    """The weight to speak of: the first with half the time, or where no end was, with any."""
    limit = float("inf") if seconds is None else seconds * WORTH_SAYING
    return next((each for each in others if each.seconds <= limit), None)


def seconds_to_fail(
    gate: Gate, ratio: RatioTest, total: Tally, rates: Rates, *, phi: float, needed: float
) -> float | None:
    """Until the first rule fails, if the candidate's fraction is what it now seems to be.

    Without restarts, which make a FAIL a little later where the candidate was bad from the
    beginning, and sooner where it was not. None when no FAIL is in sight.
    """

    def above(limit: float, seconds: Floats) -> Floats:
        bad = (total.candidate_bad + seconds * rates.candidate_bad) / phi
        requests = (total.candidate_requests + seconds * rates.candidate_requests) / phi
        return _test_of(limit).log_e_above(bad[:, None], requests[:, None])

    def worse(margins: AgainstStable, seconds: Floats) -> Floats:
        candidate = (rates.candidate_requests, rates.candidate_bad)
        drift = ratio.increment(candidate, (rates.stable_requests, rates.stable_bad), phi)
        grown = ratio.log_e_fail(total.ell + seconds[:, None] * drift)
        return np.minimum(above(margins.floor, seconds), grown)

    found: list[float | None] = []
    seems = rates.candidate_bad / rates.candidate_requests
    if gate.limit is not None and seems > gate.limit:
        found.append(seconds_until(partial(above, gate.limit), needed))
    margins = gate.against_stable
    if margins is not None and rates.stable_requests and seems > _allowed(margins, rates):
        found.append(seconds_until(partial(worse, margins), needed))
    return min((each for each in found if each is not None), default=None)


def _allowed(margins: AgainstStable, rates: Rates) -> float:
    """The fraction up to which no evidence for a FAIL is to be expected."""
    return max(margins.floor, margins.fail_ratio * rates.stable_bad / rates.stable_requests)


@lru_cache(maxsize=64)
def _test_of(limit: float) -> FractionTest:
    return FractionTest(limit)
