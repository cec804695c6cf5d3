"""One fraction of bad requests against a fixed limit, valid at every look.

The counts are all the state there is. Limits of the user and the floor under which nobody cares are
tested here; comparing two variants is not (docs/statistics.md, section 2a, absolute gate).
"""

import math
from collections.abc import Callable

import numpy as np

from domain.evidence.beta_functions import log_beta, log_beta_cdf
from domain.evidence.mixtures import Floats, log_sum_exp, normal, normalised

_SD = 2.0  # of the half-normal prior, in logits: a zero-error pass then takes 4.7/floor requests
_REACH = 5 * _SD
_POINTS = 64
_SMALLEST = 1e-9
_EDGE = 1e-13
_CLOSE = 1e-9


class FractionTest:
    """Both sides of one limit: "at most" is refuted by bad requests, "at least" by good ones."""

    def __init__(self, limit: float) -> None:
        limit = min(max(limit, _SMALLEST), 1 - _SMALLEST)
        # Denser towards the limit: a fraction close to it takes many requests, and then resolution.
        steps: Floats = np.linspace(0.0, 1.0, _POINTS + 1)[1:]
        distances: Floats = _REACH * steps**2
        self.prior = normalised(normal(distances, _SD) + np.log(steps))
        self._above = _log_ratios(limit, distances)
        self._below = _log_ratios(limit, -distances)

    def above_ratios(self, bad: float | Floats, requests: float | Floats) -> Floats:
        """Log likelihood ratios of the grid's larger fractions against the limit itself."""
        return np.asarray(bad * self._above[0] + (requests - bad) * self._above[1])

    def below_ratios(self, bad: float | Floats, requests: float | Floats) -> Floats:
        """Log likelihood ratios of the grid's smaller fractions against the limit itself."""
        return np.asarray(bad * self._below[0] + (requests - bad) * self._below[1])

    def log_e_above(self, bad: float | Floats, requests: float | Floats) -> Floats:
        """Log e-value against "at most the limit at all times", without restarts."""
        return log_sum_exp(self.above_ratios(bad, requests) + self.prior)

    def log_e_below(self, bad: float | Floats, requests: float | Floats) -> Floats:
        """Log e-value against "at least the limit at all times"."""
        return log_sum_exp(self.below_ratios(bad, requests) + self.prior)


def _log_ratios(limit: float, distances: Floats) -> tuple[Floats, Floats]:
    """What one bad and one good request say, for each fraction so far in logits from the limit."""
    odds = limit / (1 - limit) * np.exp(distances)
    good = -np.log1p(odds) - math.log1p(-limit)
    return np.asarray(good + distances), good


def beta_binomial_log_mixture(
    *, s: float, v: float, v_opt: float, g: float, h: float, alpha_opt: float, one_sided: bool
) -> float:
    """Log of the beta-binomial mixture (Howard et al. 2021, propositions 6 and 7).

    `s` is the centred sum, `v` its variance process, for increments within [-g, h] scaled by 1/gh.
    """
    aim = 2 * math.log(1 / (2 * alpha_opt if one_sided else alpha_opt))
    r = max(v_opt / (aim + math.log1p(aim)) - g * h, 1e-3 * g * h)
    x = h / (g + h) if one_sided else 1.0

    def log_integral(a: float, b: float) -> float:
        return log_beta_cdf(a, b, x) + log_beta(a, b)

    scale_g, scale_h = g * (g + h), h * (g + h)
    return (
        v / (g * h) * math.log(g + h)
        - (v + h * s) / scale_h * math.log(g)
        - (v - g * s) / scale_g * math.log(h)
        + log_integral((r + v - g * s) / scale_g, (r + v + h * s) / scale_h)
        - log_integral(r / scale_g, r / scale_h)
    )


def confidence_sequence(
    bad: float, requests: float, *, alpha: float, t_opt: float = 300, alpha_opt: float = 0.05
) -> tuple[float, float]:
    """The fractions not ruled out, at any look: tightest after `t_opt` requests.

    { p : log M(p) < log(1/alpha) } with the two-sided mixture at s = (x/n - p) n, v = p (1-p) n.
    """
    if requests <= 0:
        return 0.0, 1.0
    if 2 * bad > requests:  # the mixture is symmetric, doubles are dense at 0 only
        low, high = confidence_sequence(
            requests - bad, requests, alpha=alpha, t_opt=t_opt, alpha_opt=alpha_opt
        )
        return 1 - high, 1 - low

    def excess(p: float) -> float:
        spread = p * (1 - p)
        s = bad - p * requests
        return beta_binomial_log_mixture(
            s=s, v=spread * requests, v_opt=spread * t_opt, g=p, h=1 - p,
            alpha_opt=alpha_opt, one_sided=False,
        ) + math.log(alpha)  # fmt: skip

    seen = bad / requests
    return _end(excess, seen, 0.0), _end(excess, seen, 1.0)


def _end(excess: Callable[[float], float], seen: float, edge: float) -> float:
    """Where `excess` crosses zero between the fraction seen and an edge, by regula falsi.

    The search runs in logits, where `excess` is almost straight (Illinois variant).
    """
    if seen == edge:
        return edge
    inner, outer = _logit(seen), _logit(edge)
    low, high = excess(_fraction(inner)), excess(_fraction(outer))
    if high <= 0:
        return edge
    crossing, side = inner, 0
    for _ in range(100):
        crossing = (inner * high - outer * low) / (high - low)
        value = excess(_fraction(crossing))
        if abs(value) < _CLOSE or abs(outer - inner) < _CLOSE:
            break
        if value > 0:
            outer, high, low, side = crossing, value, low / 2 if side > 0 else low, 1
        else:
            inner, low, high, side = crossing, value, high / 2 if side < 0 else high, -1
    return _fraction(crossing)


def _logit(fraction: float) -> float:
    fraction = min(max(fraction, _EDGE), 1 - _EDGE)
    return math.log(fraction) - math.log1p(-fraction)


def _fraction(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
