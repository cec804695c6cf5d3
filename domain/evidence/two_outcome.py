"""Slow and fast requests of both variants together: sharper than rates when slow is common.

For "is the candidate slower at all", not for margins: those need the rate ratio
(docs/statistics.md, section 2b).
"""

import math
from collections.abc import Sequence

import numpy as np

from domain.evidence.mixtures import Floats

Count = float | Floats
Row = tuple[Count, Count, Count, Count]
"""Candidate requests and slow, stable requests and slow; arrays have a last axis of length one."""


def log_ratios(row: Row, log_odds_ratios: Floats, *, stable_slow_fraction: Count) -> Floats:
    """What one interval says for each odds ratio against "not slower than stable".

    With r the guess of stable's slow fraction and w the candidate's share of the requests:
    q = r e^theta/(1-r+r e^theta), R_s = q/r, R_f = (1-q)/(1-r), pi = w R/(w R + 1 - w);
    s_c log pi_s + s_b log(1-pi_s) + f_c log pi_f + f_b log(1-pi_f) - n_c log w - n_b log(1-w).
    A wrong guess costs power and nothing else. Both arms must have requests.
    """
    n_c, slow_c, n_b, slow_b = row
    share = n_c / (n_c + n_b)
    spread = np.log1p(stable_slow_fraction * np.expm1(log_odds_ratios))
    slow, fast = log_odds_ratios - spread, -spread
    fast_c, fast_b = n_c - slow_c, n_b - slow_b
    return np.asarray(
        slow_c * slow
        + fast_c * fast
        - (slow_c + slow_b) * np.log1p(share * np.expm1(slow))
        - (fast_c + fast_b) * np.log1p(share * np.expm1(fast))
    )


def point_log_ratio(
    rows: Sequence[Row], *, stable_slow_fraction: float, odds_ratio: float
) -> float:
    """The log likelihood ratio of one odds ratio against 1, over all rows."""
    theta = np.array([math.log(odds_ratio)])
    terms = (log_ratios(row, theta, stable_slow_fraction=stable_slow_fraction) for row in rows)
    return math.fsum(float(term[0]) for term in terms)
