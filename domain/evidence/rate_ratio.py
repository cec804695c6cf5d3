"""The candidate's bad fraction over stable's: a grid e-process that is valid at every look.

The state is one vector, the log likelihood over a grid of log ratios; tests and intervals are read
from it. Each interval is conditioned on its own split of requests, so weights and the base rate may
change freely between intervals (docs/statistics.md, section 2a).
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from domain.evidence.mixtures import Floats, log_sum_exp, normal, normalised

LARGEST_RATIO = 64.0
"""The grid's end: a ratio of 64 stands for "64 or more", 1/64 for "1/64 or less"."""

_POINTS = 257
_HALF = _POINTS // 2
_GRID: Floats = np.arange(-_HALF, _HALF + 1, dtype=np.float64) * (math.log(LARGEST_RATIO) / _HALF)
_BETTER_SD = 0.25
_DISPLAY_PRIOR = normalised(np.logaddexp(normal(_GRID, 0.25), normal(_GRID, 1.0)))


class RatioTest:
    """The grid and the priors for one pair of margins. Holds no counts.

    The grid carries both margins as points of their own behind the 257 even ones: the likelihood
    there is exact (interpolating a concave function would overstate the evidence against it).
    """

    def __init__(self, *, fail_ratio: float, pass_ratio: float) -> None:
        margins = (math.log(fail_ratio), math.log(pass_ratio))
        if not all(_GRID[1] <= margin <= _GRID[-2] for margin in margins):
            raise ValueError(f"the ratios must lie between 1/{LARGEST_RATIO:g} and it")
        self._thetas = np.concatenate([_GRID, margins])
        self._excess = np.expm1(self._thetas)
        self._worse = slice(int(np.searchsorted(_GRID, margins[0] + 1e-9)), _POINTS)
        self._better = slice(0, int(np.searchsorted(_GRID, margins[1] - 1e-9)))
        self.worse_prior = _worse_prior(np.asarray(_GRID[self._worse] - margins[0]))
        self.better_prior = normal(_GRID[self._better], _BETTER_SD)

    def nothing(self) -> Floats:
        """The state before any interval."""
        return np.zeros(_POINTS + 2)

    def increment(
        self,
        candidate: tuple[float | Floats, float | Floats],
        stable: tuple[float | Floats, float | Floats],
        phi: float = 1.0,
    ) -> Floats:
        """What one interval adds to the state; each pair is (requests, bad).

        ell_g += (c theta_g - (c+b) log(n_c exp(theta_g) + n_b)) / phi, here less its value at
        theta = 0. Both arms must have requests: an interval without says nothing of the ratio.
        Counts may be arrays with a last axis of length one, for many lives at once.
        """
        (n_c, c), (n_b, b) = candidate, stable
        share = n_c / (n_c + n_b)
        return np.asarray((c * self._thetas - (c + b) * np.log1p(share * self._excess)) / phi)

    def worse_ratios(self, ell: Floats) -> Floats:
        """Log likelihood ratios of the grid's worse ratios against `fail_ratio` itself."""
        return np.asarray(ell[..., self._worse] - ell[..., _POINTS, None])

    def better_ratios(self, ell: Floats) -> Floats:
        """Log likelihood ratios of the grid's better ratios against `pass_ratio` itself."""
        return np.asarray(ell[..., self._better] - ell[..., _POINTS + 1, None])

    def log_e_fail(self, ell: Floats) -> Floats:
        """Log e-value against "at most `fail_ratio` at all times", without restarts."""
        return log_sum_exp(self.worse_ratios(ell) + self.worse_prior)

    def log_e_pass(self, ell: Floats) -> Floats:
        """Log e-value against "at least `pass_ratio` at all times"."""
        return log_sum_exp(self.better_ratios(ell) + self.better_prior)


def _worse_prior(excess: Floats) -> Floats:
    """Log weights over log ratios beyond the margin: most at those that can be found soon.

    0.8 N(0.5, 0.2^2) + 0.2 N(0, 1.5^2), both cut at 0. At the default margin the first is around
    twice as bad as stable. Less would take hours whatever the prior, and much more is found within
    seconds, for which the second is wide enough.
    """
    near, far = normal(excess - 0.5, 0.2), normal(excess, 1.5)
    return np.logaddexp(near + math.log(0.8), far + math.log(0.2))


def log_e_with_prior(ell: Floats, log_prior: Floats) -> Floats:
    """Log e-value against "equal to stable" under any prior over the grid."""
    return log_sum_exp(ell[..., :_POINTS] + log_prior)


def share_prior(share: float, concentration: float) -> Floats:
    """The prior under which a constant split gives Lindon & Malek's Bayes factor.

    Beta(k w, k (1-w)) on the candidate's share of the bad requests, carried over to log ratios.
    """
    log_share = math.log(share) + _GRID - np.log1p(share * np.expm1(_GRID))
    log_rest = math.log1p(-share) - np.log1p(share * np.expm1(_GRID))
    return normalised(concentration * (share * log_share + (1 - share) * log_rest))


def confidence_sequence(ell: Floats, level: float) -> tuple[float, float]:
    """The ratios not ruled out, at any look, within the ends of the grid.

    { theta : ell(theta) > log sum_j w_j exp(ell_j) - log(1/(1-level)) } with
    w = 0.5 N(0, 0.25^2) + 0.5 N(0, 1). The ends are rounded outwards between grid points.
    """
    values = ell[:_POINTS]
    threshold = float(log_sum_exp(values + _DISPLAY_PRIOR)) + math.log1p(-level)
    inside = np.flatnonzero(values > threshold)
    low = math.exp(_outer_end(values, threshold, int(inside[0]), -1))
    high = math.exp(_outer_end(values, threshold, int(inside[-1]), 1))
    return max(low, 1 / LARGEST_RATIO), min(high, LARGEST_RATIO)


def log_e_below(ell: Floats, ratio: float) -> Floats:
    """Log e-value against "at least `ratio` at all times", for any ratio within the grid.

    What the confidence sequence's own weights have below the ratio: it is no more than they have
    in all, so that the sequence excludes whatever this refutes. The likelihood between two grid
    points is taken from above, as in `_outer_end`.
    """
    at = math.log(ratio)
    place = int(np.searchsorted(_GRID, at - 1e-9))
    step = float(_GRID[1] - _GRID[0])
    past = (at - float(_GRID[place - 1])) / step
    left, right = ell[..., place - 1], ell[..., place]
    from_left = left + past * (left - ell[..., place - 2])
    from_right = right + (1 - past) * (right - ell[..., place + 1])
    beside = np.minimum(from_left, from_right)
    return np.asarray(log_sum_exp(ell[..., :place] + _DISPLAY_PRIOR[:place]) - beside)


def _outer_end(values: Floats, threshold: float, last_inside: int, towards: int) -> float:
    """The end of the interval beyond the last grid point inside, never too far in.

    The likelihood is concave: beyond that point it lies below the line through it and its inner
    neighbour, and below the line through the two points further out.
    """
    out = last_inside + towards
    if not 0 <= out < _POINTS:
        return towards * math.inf
    step = float(_GRID[1] - _GRID[0])
    reach = 1.0
    inner = last_inside - towards
    if 0 <= inner < _POINTS and values[inner] > values[last_inside]:
        fall = float(values[inner] - values[last_inside])
        reach = min(reach, float(values[last_inside] - threshold) / fall)
    if 0 <= out + towards < _POINTS:
        fall = float(values[out] - values[out + towards])
        reach = min(reach, 1 - max(0.0, float(threshold - values[out])) / fall) if fall > 0 else 1.0
    return float(_GRID[last_inside]) + towards * step * reach


def estimate(ell: Floats) -> float | None:
    """The most likely ratio; None when it lies beyond the grid's upper end (or nothing is known).

    0 when it lies beyond the lower end: no bad request of the candidate's beside some of stable's.
    """
    values = ell[:_POINTS]
    top = int(values.argmax())
    if top == _POINTS - 1 or not values.any():
        return None
    if top == 0:
        return 0.0
    left, middle, right = (float(values[top + offset]) for offset in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return math.exp(float(_GRID[top]) + shift * float(_GRID[1] - _GRID[0]))


def likely_ratio(ell: Floats) -> float:
    """The posterior mean of the log ratio as a ratio: 1 at first, later the estimate."""
    log_posterior = normalised(ell[:_POINTS] + _DISPLAY_PRIOR)
    return math.exp(float((np.exp(log_posterior) * _GRID).sum()))


def point_log_ratios(
    rows: Sequence[tuple[float, float, float, float]], *, null_ratio: float, alt_ratio: float
) -> list[float]:
    """Running log likelihood ratio of one ratio against another.

    A row is (candidate requests, candidate bad, stable requests, stable bad); the candidate's share
    of the bad is binomial with share rho n_c / (rho n_c + n_b).
    """

    def row_ratio(n_c: float, c: float, n_b: float, b: float) -> float:
        mass_null, mass_alt = null_ratio * n_c + n_b, alt_ratio * n_c + n_b
        return c * math.log(alt_ratio / null_ratio) - (c + b) * math.log(mass_alt / mass_null)

    return list(accumulate(row_ratio(*row) for row in rows))
