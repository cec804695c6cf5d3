"""Spans of time as people say them."""

import re
from datetime import timedelta

UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
WRITTEN = re.compile(r"([1-9][0-9]{0,8})([smhd])")
RULE = "must be a whole number with its unit, such as 30s, 5m, 1h or 7d"
_LENGTHS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_SECONDS = 10**9


def read_span(text: str) -> timedelta:
    """Read `30s`, `5m`, `1h` or `7d`. Raises ValueError with the rule."""
    found = WRITTEN.fullmatch(text)
    seconds = int(found[1]) * _LENGTHS[found[2]] if found else _LONGEST_SECONDS + 1
    if seconds > _LONGEST_SECONDS:
        raise ValueError(RULE)
    return timedelta(seconds=seconds)


def spoken(span: timedelta) -> str:
    """Say a span in its two largest units: `90 s` is `1 min 30 s`, less than a second `0.2 s`."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds:g} s"
    left, parts = round(seconds), []
    for unit, length in UNITS:
        amount, left = divmod(left, length)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])
