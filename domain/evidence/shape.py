"""Whether the candidate's times are distributed as stable's: a note for people, never a decision.

It has no direction: a candidate that answers sooner changes the shape as well. So it says what a
gate at one bound cannot see, and a gate says what it cannot (docs/statistics.md, section 2b).
"""

import math
from itertools import pairwise

from domain.evidence.beta_functions import log_beta
from domain.evidence.intervals import Counts, Interval
from domain.evidence.mixtures import odds

ODDS_NEEDED = 100.0
CONCENTRATION, FULL = 100.0, 100


class Shape:
    """Each bucket's share of the candidate beside its weight, begun anew with each weight.

    With c of n requests of a bucket the candidate's, and w its weight: the sum over buckets of
    log B(kw + c, k(1-w) + n - c) - log B(kw, k(1-w)) - c log w - (n - c) log(1-w), k = 100 (Lindon
    & Malek, NeurIPS 2022, given each bucket's total). What all buckets together say against the
    weight is taken off: that is the split's affair. `phi` divides it, as all evidence.
    """

    def __init__(self, phi: float) -> None:
        self._phi = phi
        self._stretch: tuple[int, int, tuple[float, ...]] | None = None
        self._candidate: list[int] = []
        self._stable: list[int] = []

    def add(self, interval: Interval) -> None:
        """Take the next interval in; one without times, or without a split, says nothing."""
        if not interval.bounds_ms or not 0 < interval.weight < FULL:
            return
        stretch = (interval.step, interval.weight, interval.bounds_ms)
        candidate, stable = _buckets(interval.candidate), _buckets(interval.stable)
        if stretch != self._stretch:
            self._stretch, self._candidate, self._stable = stretch, candidate, stable
            return
        self._candidate = [a + b for a, b in zip(self._candidate, candidate, strict=True)]
        self._stable = [a + b for a, b in zip(self._stable, stable, strict=True)]

    def odds(self) -> float:
        """Odds against "distributed as stable's" at the latest weight; 1 before any."""
        return odds(self.log_e())

    def log_e(self) -> float:
        if self._stretch is None:
            return 0.0
        weight = self._stretch[1] / FULL
        buckets = zip(self._candidate, self._stable, strict=True)
        apart = math.fsum(_log_bayes_factor(c, b, weight) for c, b in buckets)
        together = _log_bayes_factor(sum(self._candidate), sum(self._stable), weight)
        return (apart - max(together, 0.0)) / self._phi


def _buckets(counts: Counts) -> list[int]:
    """How many requests fell into each bucket, the one behind the last bound included."""
    timed = counts.requests if counts.timed is None else counts.timed
    upto = [0, *counts.within, timed]
    return [max(after - before, 0) for before, after in pairwise(upto)]


def _log_bayes_factor(candidate: int, stable: int, weight: float) -> float:
    if not candidate + stable:
        return 0.0
    a, b = CONCENTRATION * weight, CONCENTRATION * (1 - weight)
    grown = log_beta(a + candidate, b + stable) - log_beta(a, b)
    return grown - candidate * math.log(weight) - stable * math.log1p(-weight)
