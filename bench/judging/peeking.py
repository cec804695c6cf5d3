"""A z-test of two proportions on all that was counted so far, looked at again and again."""

import math

import numpy as np

from bench.judging.rules import Flags
from bench.judging.traffic import Look
from domain.evidence.mixtures import Floats

ONE_SIDED_5_PERCENT = 1.6448536269514722


def z_score(bad: Floats, requests: Floats, other_bad: Floats, other_requests: Floats) -> Floats:
    """(p1 - p2) / sqrt(p (1-p) (1/n1 + 1/n2)) with p pooled; 0 where it is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (bad + other_bad) / (requests + other_requests)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / requests + 1 / other_requests))
        z = (bad / requests - other_bad / other_requests) / spread
    return np.asarray(np.where(np.isfinite(z), z, 0.0))


def upper_tail(z: float) -> float:
    """P(a standard normal is larger)."""
    return math.erfc(z / math.sqrt(2)) / 2


class PeekingZTest:
    """Rolled back at the first look at which p < 5 %, one-sided."""

    def __init__(self, lives: int) -> None:
        self._sums = np.zeros((4, lives))

    def look(self, seen: Look) -> Flags:
        self._sums += np.stack([seen.candidate_bad, seen.candidate, seen.stable_bad, seen.stable])
        return np.asarray(z_score(*self._sums) > ONE_SIDED_5_PERCENT)
