"""When half of all rollouts are there, where the expected evidence is told."""

import math
from statistics import NormalDist

_FLAT = 1e-4
_SURE = 50.0


def median_pace(needed: float, ratio: float) -> float:
    """The median moment of crossing a line over that at which the expected evidence reaches it.

    Evidence is a random walk that may be early: the first passage of a line at `needed` (in nats)
    is inverse Gaussian with mean 1 and shape needed mu/v. Drift mu and variance v are those of the
    Poisson log likelihood ratio of a rate `ratio` times the one at the line; v/2mu is 1 for small
    differences and 0 where nothing bad is expected, so that nothing is left to chance. It is held
    at 1 above: there single requests decide, and the walk is no Brownian motion.
    """
    if ratio <= 0:
        return 1.0
    log_ratio = math.log(ratio)
    drift = ratio * log_ratio - ratio + 1
    scatter = min(1.0, ratio * log_ratio**2 / (2 * drift)) if drift > _FLAT else 1.0
    shape = min(needed / (2 * scatter), _SURE)
    low, high = 0.0, 1.0
    while high - low > _FLAT:
        middle = (low + high) / 2
        low, high = (low, middle) if _passed_by(middle, shape) > 1 / 2 else (middle, high)
    return high


def _passed_by(moment: float, shape: float) -> float:
    """The inverse Gaussian's distribution function for mean 1."""
    normal, root = NormalDist(), math.sqrt(shape / moment)
    return normal.cdf(root * (moment - 1)) + math.exp(2 * shape) * normal.cdf(-root * (moment + 1))
