"""Putting names into PromQL so that they mean themselves and nothing else."""

import json
from collections.abc import Iterable
from datetime import timedelta

_REGEX_MEANING = frozenset(r"\.+*?()|[]{}^$")


def quoted(value: str) -> str:
    """Write a string literal. JSON's escapes are among PromQL's; the rest of Unicode stays."""
    return json.dumps(value, ensure_ascii=False)


def any_of(values: Iterable[str]) -> str:
    """Write the literal of a regular expression that matches these values and no others."""
    return quoted("|".join(_without_meaning(value) for value in values))


def duration(span: timedelta) -> str:
    """Write a range of at least one millisecond."""
    return f"{max(1, round(span / timedelta(milliseconds=1)))}ms"


def _without_meaning(value: str) -> str:
    return "".join(f"\\{char}" if char in _REGEX_MEANING else char for char in value)
