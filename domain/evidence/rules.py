"""The two rules of a gate as evidence: against stable with margins, and against a fixed limit.

A rule reads tallies and holds only its restarts. Thresholds and words are not known here.
"""

import math
from typing import Protocol

import numpy as np

from domain.evidence import rate_ratio
from domain.evidence.forecasts import Rates
from domain.evidence.fraction import FractionTest
from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.restarts import Restarts
from domain.evidence.tallies import Counted, Observation, Rung, Tally
from domain.gates import AgainstStable

# What is bet on late regressions is missing for early ones, which the ratio is slower to find than
# the fraction is: its bets stay with them.
RATIO_LATE_SHARE = 0.2


class Rule(Protocol):
    """One claim of a gate. Evidence is logarithmic and valid at every look."""

    def restart(self, total: Tally, *, is_rise: bool) -> None:
        """Called before each interval is added, with the tally of those before it.

        `is_rise`: the interval's weight is greater than that of the one before.
        """

    def learn(self, seen: Observation) -> None:
        """Called with each interval, for what no tally holds."""

    def log_e_fail(self, total: Tally) -> float:
        """Against "the candidate is acceptable", from all intervals of the rollout."""

    def has_failed(self, total: Tally, needed: float) -> bool:
        """Whether `log_e_fail` reaches what is needed, without computing more than that takes."""

    def failing_since(self, total: Tally) -> Counted | None:
        """Where the evidence for FAIL begins to speak; None: at the beginning."""

    def log_e_pass(self, step: Tally) -> float:
        """Against "the candidate is not good enough", from the intervals of one step."""

    def log_e_pass_later(self, step: Tally, rates: Rates, seconds: Floats) -> Floats:
        """What `log_e_pass` comes to after each number of seconds at these rates."""


class AgainstStableRule:
    """Worse than `fail_ratio` times stable's fraction and above the floor; or better than both.

    The claim p_c > max(f p_b, floor) needs both nulls refuted: the smaller e-value. The claim
    p_c < max(m p_b, floor) needs one: the mean of both.
    """

    def __init__(self, rule: AgainstStable, ratio: RatioTest, phi: float) -> None:
        self._ratio = ratio
        self._floor = FractionTest(rule.floor)
        self._phi = phi
        self._ratio_starts = Restarts[Counted](ratio.worse_prior, late_share=RATIO_LATE_SHARE)
        self._floor_starts = Restarts[Counted](self._floor.prior)

    def restart(self, total: Tally, *, is_rise: bool) -> None:
        counted = total.counted()
        worse = self._ratio.worse_ratios(total.ell)
        self._ratio_starts.mark(worse, counted, is_rise=is_rise)
        self._floor_starts.mark(self._above_floor(total), counted, is_rise=is_rise)

    def learn(self, seen: Observation) -> None:
        """The tally holds all."""

    def log_e_fail(self, total: Tally) -> float:
        return min(self._log_e_ratio(total), self._log_e_floor(total))

    def has_failed(self, total: Tally, needed: float) -> bool:
        return self._log_e_floor(total) >= needed and self._log_e_ratio(total) >= needed

    def failing_since(self, total: Tally) -> Counted | None:
        if self._log_e_floor(total) < self._log_e_ratio(total):
            return self._floor_starts.leading(self._above_floor(total))
        return self._ratio_starts.leading(self._ratio.worse_ratios(total.ell))

    def log_e_pass(self, step: Tally) -> float:
        if step.rung is not None:
            total = step.rung.total
            counted = (np.float64(total.candidate_bad), np.float64(total.candidate_requests))
            return float(self._log_e_rung(step.rung, total.ell, *counted))
        better = self._ratio.log_e_pass(step.ell)
        below = self._floor.log_e_below(
            step.candidate_bad / self._phi, step.candidate_requests / self._phi
        )
        return float(np.logaddexp(better, below)) - math.log(2)

    def log_e_pass_later(self, step: Tally, rates: Rates, seconds: Floats) -> Floats:
        rung = step.rung
        step = step if rung is None else rung.total
        ell = step.ell
        if rates.candidate_requests and rates.stable_requests:
            drift = self._ratio.increment(
                (rates.candidate_requests, rates.candidate_bad),
                (rates.stable_requests, rates.stable_bad),
                self._phi,
            )
            ell = ell + seconds[:, None] * drift
        if rung is not None:
            bad = step.candidate_bad + seconds * rates.candidate_bad
            requests = step.candidate_requests + seconds * rates.candidate_requests
            return self._log_e_rung(rung, ell, bad, requests)
        better = self._ratio.log_e_pass(ell)
        below = self._floor.log_e_below(*_fraction_later(step, rates, seconds, self._phi))
        return np.asarray(np.logaddexp(better, below) - math.log(2))

    def _log_e_rung(
        self, rung: Rung, ell: Floats, bad: Floats | np.float64, requests: Floats | np.float64
    ) -> Floats:
        """Below the margin, or below the floor: the larger proof, halved as there are two chances.

        So a PASS at 1/beta keeps beta over all steps together, and where the margin gives it the
        confidence sequence at 1 - beta/2 lies below the margin.
        """
        below = self._floor.log_e_below(
            np.asarray(bad / self._phi)[..., None], np.asarray(requests / self._phi)[..., None]
        )
        better = rate_ratio.log_e_below(ell, rung.margin)
        return np.asarray(np.maximum(better, below) - math.log(2))

    def _log_e_ratio(self, total: Tally) -> float:
        return self._ratio_starts.log_e(self._ratio.worse_ratios(total.ell))

    def _log_e_floor(self, total: Tally) -> float:
        return self._floor_starts.log_e(self._above_floor(total))

    def _above_floor(self, total: Tally) -> Floats:
        return self._floor.above_ratios(
            total.candidate_bad / self._phi, total.candidate_requests / self._phi
        )


class LimitRule:
    """A fraction above the limit, or below it, whatever stable does."""

    def __init__(self, limit: float, phi: float) -> None:
        self._test = FractionTest(limit)
        self._phi = phi
        self._starts = Restarts[Counted](self._test.prior)

    def restart(self, total: Tally, *, is_rise: bool) -> None:
        self._starts.mark(self._above(total), total.counted(), is_rise=is_rise)

    def learn(self, seen: Observation) -> None:
        """The tally holds all."""

    def log_e_fail(self, total: Tally) -> float:
        return self._starts.log_e(self._above(total))

    def has_failed(self, total: Tally, needed: float) -> bool:
        return self.log_e_fail(total) >= needed

    def failing_since(self, total: Tally) -> Counted | None:
        return self._starts.leading(self._above(total))

    def log_e_pass(self, step: Tally) -> float:
        return float(
            self._test.log_e_below(
                step.candidate_bad / self._phi, step.candidate_requests / self._phi
            )
        )

    def log_e_pass_later(self, step: Tally, rates: Rates, seconds: Floats) -> Floats:
        return self._test.log_e_below(*_fraction_later(step, rates, seconds, self._phi))

    def _above(self, total: Tally) -> Floats:
        return self._test.above_ratios(
            total.candidate_bad / self._phi, total.candidate_requests / self._phi
        )


def _fraction_later(
    step: Tally, rates: Rates, seconds: Floats, phi: float
) -> tuple[Floats, Floats]:
    bad = (step.candidate_bad + seconds * rates.candidate_bad) / phi
    requests = (step.candidate_requests + seconds * rates.candidate_requests) / phi
    return np.asarray(bad[:, None]), np.asarray(requests[:, None])
