"""How long a PASS still takes if everything goes on as it does: for people, never for decisions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import likely_ratio
from domain.evidence.tallies import Tally

_HORIZON_SECONDS = 30 * 86_400.0
_MOMENTS: Floats = np.concatenate([[0.0], np.geomspace(0.5, _HORIZON_SECONDS, 12)])
_PARTS: Floats = np.linspace(0.0, 1.0, 9)
# Of so many bad requests a fraction is known to a third; one that is off by more is another's.
ENOUGH_BAD, AT_ODDS = 10, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is expected of both arms per second."""

    candidate_requests: float
    candidate_bad: float
    stable_requests: float
    stable_bad: float

    def scaled(self, candidate: float, stable: float) -> "Rates":
        """With so many times the requests of each arm, of which as large a part is bad."""
        return Rates(
            candidate_requests=self.candidate_requests * candidate,
            candidate_bad=self.candidate_bad * candidate,
            stable_requests=self.stable_requests * stable,
            stable_bad=self.stable_bad * stable,
        )


def expected_rates(total: Tally, step: Tally) -> Rates | None:
    """The step's request rates with the rollout's bad fractions; None when nothing flows.

    The candidate's fraction is stable's times the likely ratio, so that a forecast from few bad
    requests starts from "equal to stable" instead of from noise. That ratio is shrunk to 1, and
    capped: where the candidate has shown enough of its own, what contradicts that is put aside.
    """
    if not (step.seconds > 0 and step.candidate_requests):
        return None
    stable_fraction = total.stable_bad / total.stable_requests if total.stable_requests else 0.0
    candidate_fraction = total.candidate_bad / total.candidate_requests
    if stable_fraction:
        likely = min(1.0, likely_ratio(total.ell) * stable_fraction)
        low, high = sorted((likely, candidate_fraction))
        if total.candidate_bad < ENOUGH_BAD or high <= AT_ODDS * low:
            candidate_fraction = likely
    candidate_rate = step.candidate_requests / step.seconds
    stable_rate = step.stable_requests / step.seconds
    return Rates(
        candidate_requests=candidate_rate,
        candidate_bad=candidate_rate * candidate_fraction,
        stable_requests=stable_rate,
        stable_bad=stable_rate * stable_fraction,
    )


def seconds_until(log_e_later: Callable[[Floats], Floats], needed: float) -> float | None:
    """When the expected evidence reaches what is needed; None when not within 30 days.

    Along the expected path, which is the median of docs/statistics.md's planning formula. A path is
    convex (a sum of exponentials), or the lowest of such: what it has reached it keeps. So a few
    moments find about where it crosses, and a few more between them the place.
    """
    path = log_e_later(_MOMENTS)
    if path[0] >= needed:
        return 0.0
    if path[-1] < needed:
        return None
    after = int((path >= needed).argmax())
    moments = _MOMENTS[after - 1] + (_MOMENTS[after] - _MOMENTS[after - 1]) * _PARTS
    path = log_e_later(moments)
    after = max(1, int((path >= needed).argmax()))
    (low, high), (earlier, later) = path[after - 1 : after + 1], moments[after - 1 : after + 1]
    return float(earlier + (later - earlier) * (needed - low) / (high - low))
