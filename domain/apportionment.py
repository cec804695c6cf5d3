"""Whole parts of a whole, as close to the shares as whole parts can be (largest remainder)."""

import math
from collections.abc import Sequence

_NOISE = 9  # decimals of a part: what lies behind them is rounding, and must not tip a remainder


def apportion(shares: Sequence[float], whole: int) -> tuple[int, ...]:
    """Divide `whole` in proportion to the shares; the parts sum to it, each is off by less than 1.

    Of equal remainders the first comes first. Raises ValueError where there is no positive share,
    or a negative one.
    """
    total = math.fsum(shares)
    if not total > 0 or any(share < 0 for share in shares):
        raise ValueError(f"cannot divide {whole} by the shares {list(shares)}")
    exact = [round(whole * share / total, _NOISE) for share in shares]
    parts = [math.floor(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: whole - sum(parts)]:
        parts[i] += 1
    return tuple(parts)
