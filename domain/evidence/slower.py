"""Slower than stable at all: the rule of a bound that stable's own history gave.

Slow requests are common there (half of all at the lowest bound), and no margin is asked for. So it
counts slow and fast ones alike (docs/statistics.md, section 2b), which is sharper than the ratio.
"""

import math

import numpy as np

from domain.evidence.mixtures import Floats, normal
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.restarts import Restarts
from domain.evidence.rules import RATIO_LATE_SHARE, AgainstStableRule
from domain.evidence.tallies import Counted, Observation, Tally
from domain.evidence.two_outcome import log_ratios
from domain.gates import AgainstStable

_ODDS: Floats = np.linspace(math.log(64) / 64, math.log(64), 64)
_PRIOR: Floats = np.logaddexp(normal(_ODDS, 0.3), normal(_ODDS, 1.5)) - math.log(2)
_GUESS = (1.0, 10.0)
"""Slow requests and all, that the guess of stable's slow fraction begins with."""


class SlowerRule(AgainstStableRule):
    """FAIL when slow more often than stable, and above the floor; PASS as with any margin.

    Valid for any guess of stable's slow fraction that is made before the interval: here it is the
    one of all intervals before. Evidence is divided by phi, which keeps E[e] <= 1 (Jensen).
    """

    def __init__(self, rule: AgainstStable, ratio: RatioTest, phi: float) -> None:
        super().__init__(rule, ratio, phi)
        self._slower = np.zeros_like(_ODDS)
        self._slow, self._all = _GUESS
        self._slower_starts = Restarts[Counted](_PRIOR, late_share=RATIO_LATE_SHARE)

    def restart(self, total: Tally, *, is_rise: bool) -> None:
        counted = total.counted()
        self._slower_starts.mark(self._slower, counted, is_rise=is_rise)
        self._floor_starts.mark(self._above_floor(total), counted, is_rise=is_rise)

    def learn(self, seen: Observation) -> None:
        if seen.candidate_requests and seen.stable_requests:
            row = (seen.candidate_requests, seen.candidate_bad)
            beside = (seen.stable_requests, seen.stable_bad)
            guess = self._slow / self._all
            self._slower += log_ratios((*row, *beside), _ODDS, stable_slow_fraction=guess) / (
                self._phi
            )
        self._slow += seen.stable_bad
        self._all += seen.stable_requests

    def failing_since(self, total: Tally) -> Counted | None:
        if self._log_e_floor(total) < self._log_e_ratio(total):
            return self._floor_starts.leading(self._above_floor(total))
        return self._slower_starts.leading(self._slower)

    def _log_e_ratio(self, total: Tally) -> float:  # noqa: ARG002 - it has a state of its own
        return self._slower_starts.log_e(self._slower)
