"""Spans of time as people say them."""

from datetime import timedelta

UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


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
