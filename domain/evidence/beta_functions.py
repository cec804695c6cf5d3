"""The beta function and its regularised incomplete integral, in logarithms."""

import math

_TINY = 1e-300
_CLOSE = 1e-15
_MOST_TERMS = 1_000_000


def log_beta(a: float, b: float) -> float:
    """Log B(a, b)."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_beta_cdf(a: float, b: float, x: float) -> float:
    """Log I_x(a, b), the regularised incomplete beta function, for a, b > 0 and 0 <= x <= 1."""
    if x <= 0:
        return -math.inf
    if x >= 1:
        return 0.0
    if x < (a + 1) / (a + b + 2):
        return _log_lower_tail(a, b, x)
    upper = _log_lower_tail(b, a, 1 - x)
    return math.log1p(-math.exp(upper)) if upper < 0 else -math.inf


def _log_lower_tail(a: float, b: float, x: float) -> float:
    """The continued fraction of DLMF 8.17.22; converges fast for x < (a+1)/(a+b+2)."""
    front = a * math.log(x) + b * math.log1p(-x) - log_beta(a, b) - math.log(a)
    return front - math.log(_continued_fraction(a, b, x))


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) by the modified Lentz algorithm (DLMF 3.10(iii))."""
    value, above, below = 1.0, 1.0, 0.0
    for n in range(1, _MOST_TERMS):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1 / ((1 + term * below) or _TINY)
        above = (1 + term / above) or _TINY
        value *= above * below
        if abs(above * below - 1) < _CLOSE:
            return value
    raise ArithmeticError(f"the incomplete beta function of ({a}, {b}, {x}) did not converge")
