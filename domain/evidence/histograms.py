"""Classic histograms: quantiles and fractions for display, bounds to count slow requests at.

Quantiles are never compared: an interpolated one has no distribution, a count above a bound has.
Buckets are cumulative, bounds ascend and end in infinity, as Prometheus exposes them.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

STANDARD_QUANTILES = (0.5, 0.9, 0.95, 0.99)


def quantile(bounds: Sequence[float], cumulative: Sequence[float], q: float) -> float:
    """The q-quantile by the rule of PromQL's histogram_quantile.

    Linear inside a bucket; the first starts at 0 when its bound is above 0; a quantile behind the
    last finite bound is that bound. NaN without observations or without a bucket for infinity.
    """
    if math.isnan(q) or not _is_countable(bounds, cumulative) or len(bounds) < 2:  # noqa: PLR2004 - one bucket holds no finite bound
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    counts = list(accumulate(cumulative, max))
    rank = q * counts[-1]
    bucket = bisect_left(counts, rank, hi=len(counts) - 1)
    if bucket == len(counts) - 1:
        return bounds[-2]
    if bucket == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[bucket - 1], counts[bucket - 1]) if bucket else (0.0, 0.0)
    inside = counts[bucket] - below
    return start + (bounds[bucket] - start) * ((rank - below) / inside if inside else 0.0)


def fraction(
    bounds: Sequence[float], cumulative: Sequence[float], *, lower: float, upper: float
) -> float:
    """The fraction of observations between two values, by PromQL's histogram_fraction."""
    if math.isnan(lower) or math.isnan(upper) or not _is_countable(bounds, cumulative):
        return math.nan
    if lower >= upper:
        return 0.0
    counts = list(accumulate(cumulative, max))
    return (_rank(bounds, counts, upper) - _rank(bounds, counts, lower)) / counts[-1]


def slow_bounds(
    bounds: Sequence[float],
    cumulative: Sequence[float],
    quantiles: Sequence[float] = STANDARD_QUANTILES,
) -> tuple[float, ...]:
    """The smallest finite bound under which each fraction of stable's requests stayed.

    From stable's history before the rollout, or the tests that count there are not valid. A
    quantile behind the last finite bound has none and is left out; equal bounds are named once.
    """
    if not _is_countable(bounds, cumulative):
        return ()
    counts = list(accumulate(cumulative, max))
    found = (bisect_left(counts, q * counts[-1]) for q in quantiles)
    return tuple(dict.fromkeys(bounds[i] for i in found if math.isfinite(bounds[i])))


def _is_countable(bounds: Sequence[float], cumulative: Sequence[float]) -> bool:
    return bool(bounds) and math.isinf(bounds[-1]) and cumulative[-1] > 0


def _rank(bounds: Sequence[float], counts: Sequence[float], value: float) -> float:
    """How many observations lie below the value; those behind the last finite bound never do."""
    bucket = bisect_left(bounds, value)
    if bucket == len(bounds) or (bucket == len(bounds) - 1 and math.isinf(value)):
        return counts[-1]
    if bucket == 0:
        start, below = (0.0 if bounds[0] > 0 else -math.inf), 0.0
    else:
        start, below = bounds[bucket - 1], counts[bucket - 1]
    if value <= start:
        return below
    if math.isinf(start):
        return counts[bucket]
    return below + (counts[bucket] - below) * (value - start) / (bounds[bucket] - start)
