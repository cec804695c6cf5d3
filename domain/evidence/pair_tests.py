"""Evidence between every two arms of a trial, valid at every look and under any weights.

Each interval is conditioned on its own split of requests, so weights may follow what was seen
before, and the reward may drift for all arms alike (docs/statistics.md, section 2c). The guesses
that make it sharp come from earlier intervals only; a wrong one costs power and nothing else.
"""

import math

import numpy as np
from numpy.typing import NDArray

from domain.evidence import margin as margins
from domain.evidence.mixtures import Floats, log_sum_exp, normalised
from domain.evidence.two_outcome import log_ratios

Mask = NDArray[np.bool_]

_POINTS = 64
_SMALLEST_LOG_ODDS, _LARGEST_LOG_ODDS = 1e-3, math.log(64)
# Even on a logarithmic scale: effects of a trial are small, and found late among many requests.
_THETAS: Floats = np.geomspace(_SMALLEST_LOG_ODDS, _LARGEST_LOG_ODDS, _POINTS)
_SMALL_SD, _LARGE_SD = 0.1, 0.7
# Half of those that look for equality guess that arms are equal, half that they are half a margin
# apart: each finds what the other would take long for.
_APART: Floats = np.array([0.0, 0.5])
# The guess follows the day's drift within about 50 intervals.
_MEMORY = 0.98
_EDGE = 1e-6


def _half_normal(sd: float) -> Floats:
    return normalised(-0.5 * (_THETAS / sd) ** 2 + np.log(_THETAS))


_PRIOR = np.logaddexp(_half_normal(_SMALL_SD), _half_normal(_LARGE_SD)) - math.log(2)


class PairTests:
    """The state of all ordered pairs. Row k, column j: the claim that k has more wins than j.

    With `lives`, that many trials side by side. `phi` >= 1 divides all evidence: how much more the
    outcomes scatter than independent ones.
    """

    def __init__(
        self,
        arms: int,
        *,
        margin: float | None = None,
        phi: float = 1.0,
        lives: tuple[int, ...] = (),
    ) -> None:
        pairs = (*lives, arms, arms)
        self._margin, self._phi = margin, phi
        self._better = np.zeros((*pairs, _POINTS))
        self._within = np.zeros((*pairs, len(_APART)))
        self._totals = np.zeros((*lives, arms))
        self._wins = np.zeros((*lives, arms))

    def add(self, totals: Floats, wins: Floats) -> None:
        """One interval: requests of each arm, and how many were won.

        An arm without requests says nothing, and the first requests of an arm serve as a guess
        only.
        """
        seen = (totals > 0) & (self._totals > 0)
        both = seen[..., :, None] & seen[..., None, :] & ~np.eye(totals.shape[-1], dtype=bool)
        if both.any():
            row = (
                _of_first(totals, both),
                _of_first(wins, both),
                _of_second(totals, both),
                _of_second(wins, both),
            )
            guess = (self._wins + 0.5) / (self._totals + 1)
            increments = log_ratios(row, _THETAS, stable_slow_fraction=_of_second(guess, both))
            self._better[both] += increments / self._phi
            if self._margin is not None:
                self._within[both] += self._equality(row, both, self._margin) / self._phi
        self._totals = _MEMORY * self._totals + totals
        self._wins = _MEMORY * self._wins + wins

    def log_e_better(self) -> Floats:
        """Log e-values against "k has no more wins than j"; 0 where k is j."""
        return log_sum_exp(self._better + _PRIOR)

    def log_e_within(self) -> Floats:
        """Log e-values against "k has at least the margin more than j"; 0 where k is j."""
        return np.asarray(log_sum_exp(self._within) - math.log(len(_APART)))

    def _equality(
        self, row: tuple[Floats, Floats, Floats, Floats], both: Mask, margin: float
    ) -> Floats:
        totals = _of_first(self._totals, both) + _of_second(self._totals, both)
        wins = _of_first(self._wins, both) + _of_second(self._wins, both)
        centre = (wins + 0.5) / (totals + 1)
        half = margin * _APART / 2
        first = np.clip(centre + half, _EDGE, 1 - _EDGE)
        second = np.clip(centre - half, _EDGE, 1 - _EDGE)
        return margins.log_ratios(row, first, second, margin=margin)


def _of_first(counts: Floats, both: Mask) -> Floats:
    """The count of each pair's first arm, with a last axis for the grid."""
    return np.asarray(np.broadcast_to(counts[..., :, None], both.shape)[both][:, None])


def _of_second(counts: Floats, both: Mask) -> Floats:
    return np.asarray(np.broadcast_to(counts[..., None, :], both.shape)[both][:, None])
