"""Does the observed split of requests agree with the weights? A sequential test.

A mismatch casts doubt on a comparison and holds a PASS; by itself it is never a FAIL.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitEvidence:
    """Against "the split is as weighted": `p_values[i]` holds at every look up to interval i."""

    p_values: tuple[float, ...]
    log_bayes_factor: float
    posterior: float


def sample_ratio_mismatch(
    increments: Sequence[Sequence[float]],
    shares: Sequence[float],
    *,
    concentration: float | Sequence[float] = 1000.0,
    prior_odds: float = 1.0,
) -> SplitEvidence:
    """The Dirichlet-multinomial test of Lindon & Malek (NeurIPS 2022) at constant weights.

    log BF = log B(a + N) - log B(a) - sum_i N_i log w_i with a = concentration * w, or a as given
    when the concentration is one number per variant. After a change of weight begin anew and
    multiply the Bayes factors.
    """
    if isinstance(concentration, int | float):
        prior = [concentration * share for share in shares]
    else:
        prior = list(concentration)
    totals = accumulate(
        increments, lambda seen, more: [a + b for a, b in zip(seen, more, strict=True)]
    )
    factors = [_log_bayes_factor(total, shares, prior) for total in totals]
    last = factors[-1] if factors else 0.0
    return SplitEvidence(
        p_values=tuple(accumulate((math.exp(-max(factor, 0.0)) for factor in factors), min)),
        log_bayes_factor=last,
        posterior=1 / (1 + math.exp(min(-last, 700.0)) / prior_odds),
    )


def _log_bayes_factor(
    totals: Sequence[float], shares: Sequence[float], prior: Sequence[float]
) -> float:
    grown = [a + n for a, n in zip(prior, totals, strict=True)]
    expected = math.fsum(n * math.log(w) for n, w in zip(totals, shares, strict=True))
    return _log_multivariate_beta(grown) - _log_multivariate_beta(prior) - expected


def _log_multivariate_beta(a: Sequence[float]) -> float:
    return math.fsum(map(math.lgamma, a)) - math.lgamma(math.fsum(a))
