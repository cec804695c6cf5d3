"""One fraction against another plus a margin: the first is not that much larger.

For a null {p_k - p_j >= m}, which is convex, and an alternative (a, b), let (p_k, p_j) be the point
of the null nearest to it: the one of least n_k KL(a|p_k) + n_j KL(b|p_j). Then the likelihood ratio
of the alternative against that point expects to gain nothing under the whole null: the ratio's mean
is a product of n_i factors 1 + s_i (q_i - p_i), linear in the truth q with slopes s_i; 1 + x <= e^x
bounds its logarithm by sum n_i s_i (q_i - p_i), and that is <= 0 because it is minus the derivative
of the divergence towards q, which cannot fall from its least point (Turner & Gruenwald 2023). At
m = 0 this is the two-outcome form. As there, the alternative may be any guess from the past.
"""

import numpy as np

from domain.evidence.mixtures import Floats
from domain.evidence.two_outcome import Count, Row

_SMALLEST = 1e-12


def log_ratios(row: Row, first: Floats, second: Floats, *, margin: float) -> Floats:
    """What one interval says for each alternative against "the first is larger by the margin".

    A row holds requests and wins of the first arm, then of the second. Each alternative is a pair
    of fractions within 0 and 1, apart by less than the margin. Both arms must have requests.
    """
    n_k, x_k, n_j, x_j = row
    p_j = nearest(n_k, first, n_j, second, margin=margin)
    p_k = p_j + margin
    return np.asarray(
        x_k * np.log(first / p_k)
        + (n_k - x_k) * np.log((1 - first) / (1 - p_k))
        + x_j * np.log(second / p_j)
        + (n_j - x_j) * np.log((1 - second) / (1 - p_j))
    )


def nearest(n_k: Count, a: Floats, n_j: Count, b: Floats, *, margin: float) -> Floats:
    """The second fraction of the null's point nearest to (a, b).

    The middle root of a cubic, in closed form (Farrington & Manning 1990), polished by Newton.
    """
    odds = n_j / n_k
    cubic = 1 + odds
    square = -(1 + odds + a + odds * b + margin * (odds + 2))
    linear = margin**2 + margin * (2 * a + odds + 1) + a + odds * b
    constant = -a * margin * (1 + margin)
    centre = square / (3 * cubic)
    v = centre**3 - square * linear / (6 * cubic**2) + constant / (2 * cubic)
    u = np.copysign(np.sqrt(np.maximum(centre**2 - linear / (3 * cubic), _SMALLEST**2)), v)
    angle = (np.pi + np.arccos(np.clip(v / u**3, -1.0, 1.0))) / 3
    low = np.maximum(a - margin, 0.0) + _SMALLEST
    high = np.minimum(b, 1 - margin) - _SMALLEST
    p = np.clip(2 * u * np.cos(angle) - centre - margin, low, high)
    for _ in range(2):
        slope, bend = _slope_and_bend((n_k, a), (n_j, b), p, margin)
        p = np.clip(p - slope / bend, low, high)
    return np.asarray(p)


def _slope_and_bend(
    first: tuple[Count, Floats], second: tuple[Count, Floats], p: Floats, margin: float
) -> tuple[Floats, Floats]:
    """The derivatives of the divergence along the null's edge; each arm is (requests, guess)."""
    (n_k, a), (n_j, b), q = first, second, p + margin
    slope = n_k * (q - a) / (q * (1 - q)) + n_j * (p - b) / (p * (1 - p))
    mine = a / q**2 + (1 - a) / (1 - q) ** 2
    other = b / p**2 + (1 - b) / (1 - p) ** 2
    return np.asarray(slope), np.asarray(n_k * mine + n_j * other)
