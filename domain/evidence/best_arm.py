"""Several variants by their success fractions: shown beside a test, never used to stop one.

Posteriors are beta distributions. Pooled over changing weights they can be fooled by drift; winners
are declared by pairwise e-processes instead (docs/statistics.md, section 2c).
"""

import math
from collections.abc import Sequence

import numpy as np

from domain.evidence.mixtures import Floats

Prior = tuple[float, float]
_UNIFORM: Prior = (1.0, 1.0)
_POINTS = 20_001
_REACH = 12.0  # standard deviations of the widest posterior's angle on either side


def prob_best(
    successes: Sequence[float],
    totals: Sequence[float],
    *,
    prior: Prior = _UNIFORM,
    higher_is_better: bool = True,
) -> list[float]:
    """P(arm i is best) = integral of f_i prod_{j != i} F_j under Beta(a + s, b + n - s)."""
    _, masses, below = _posteriors(successes, totals, prior)
    beyond = below if higher_is_better else 1 - below
    others = [np.delete(beyond, arm, axis=0).prod(axis=0) for arm in range(len(masses))]
    return [float((mass * rest).sum()) for mass, rest in zip(masses, others, strict=True)]


def expected_loss(
    successes: Sequence[float],
    totals: Sequence[float],
    *,
    prior: Prior = _UNIFORM,
    higher_is_better: bool = True,
) -> list[float]:
    """E[max_j p_j - p_i]: what is lost on average by choosing arm i (E[p_i - min_j p_j] if low)."""
    values, masses, below = _posteriors(successes, totals, prior)
    best_below = below.prod(axis=0) if higher_is_better else 1 - (1 - below).prod(axis=0)
    # The mean of a variable on [x_0, x_n] with distribution F is x_n minus the integral of F.
    best = float(values[-1] - np.trapezoid(best_below, values))
    sign = 1.0 if higher_is_better else -1.0
    return [sign * (best - float((mass * values).sum())) for mass in masses]


def weight_floor(weights: Sequence[float], floor: float) -> list[float]:
    """Every arm keeps `floor`; the rest is shared as before: w_i = f + (1 - n f) w_i."""
    rest = 1 - len(weights) * floor
    return [floor + rest * weight for weight in weights]


def _posteriors(
    successes: Sequence[float], totals: Sequence[float], prior: Prior
) -> tuple[Floats, Floats, Floats]:
    """The grid of fractions, and per arm the mass at each point and the mass below it.

    The grid is even in the angle asin(sqrt(p)): there a beta density has no poles at 0 and 1 (for
    priors from 1/2 on) and the same width everywhere.
    """
    a = np.array([prior[0] + s for s in successes], dtype=float)[:, None]
    b = np.array([prior[1] + n - s for s, n in zip(successes, totals, strict=True)], dtype=float)
    b = b[:, None]
    angles = _angles(a, b)
    log_density = (2 * a - 1) * np.log(np.sin(angles)) + (2 * b - 1) * np.log(np.cos(angles))
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    masses = density / density.sum(axis=1, keepdims=True)
    below = np.cumsum(masses, axis=1) - masses / 2
    return np.sin(angles) ** 2, masses, below


def _angles(a: Floats, b: Floats) -> Floats:
    """Midpoints of an even grid that holds all but a negligible part of every posterior."""
    centres = np.arcsin(np.sqrt(a / (a + b)))
    reach = _REACH / (2 * np.sqrt(a + b))
    low = max(0.0, float((centres - reach).min()))
    high = min(math.pi / 2, float((centres + reach).max()))
    step = (high - low) / _POINTS
    return np.asarray(low + (np.arange(_POINTS) + 0.5) * step)
