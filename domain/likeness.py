"""Whether two answers to the same request agree, and if not, where they differ."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest
from math import isfinite, isnan
from typing import Any

from domain.comparison import By, Comparison, Heard, Reply, Silence, Similarity
from domain.leaves import Leaf, leaves

_GROUP = 3
_LONGEST_SHOWN, _LONGEST_TOLD = 40, 200
_OK, _REDIRECT, _SERVER_ERROR = 200, 300, 500
# Told as the client's fault, but about the moment: the same request may be answered a little later.
_LATER = frozenset({408, 425, 429})
_WHOLE = Leaf((), None)


def measure(comparison: Comparison, stable: Heard) -> Reply | str:
    """Stable's answer, or why it is no measure for the shadow's.

    Nothing passes unseen: a refusal is something to agree on only where statuses are all that is
    compared, and an answer without numbers is none where they are.
    """
    if isinstance(stable, Silence):
        return f"stable {stable.why}"
    is_good = _OK <= stable.status < _REDIRECT
    is_refusal = stable.status < _SERVER_ERROR and stable.status not in _LATER
    if not is_good and not (is_refusal and comparison.by is By.STATUS):
        return f"stable answered with status {stable.status}"
    if comparison.needs_tolerance and not _numbers(leaves(stable.text, comparison.ignore)):
        return "stable answered without a number"
    return stable


def difference(comparison: Comparison, stable: Reply, shadow: Heard) -> str:
    """What differs, in a few words, stable's side first; empty where the answers agree."""
    return _readable(_difference(comparison, stable, shadow), _LONGEST_TOLD)


def _difference(comparison: Comparison, stable: Reply, shadow: Heard) -> str:
    if isinstance(shadow, Silence):
        return f"the shadow {shadow.why}"
    if stable.status != shadow.status:
        return f"status {stable.status} and {shadow.status}"
    return "" if comparison.by is By.STATUS else _apart(comparison, stable.text, shadow.text)


def _apart(comparison: Comparison, stable: str, shadow: str) -> str:
    ours, theirs = leaves(stable, comparison.ignore), leaves(shadow, comparison.ignore)
    if comparison.by is By.LENGTH:
        return _by_length(ours, theirs, comparison.threshold or 0)
    if comparison.by is By.EXACT:
        return _by_value(ours, theirs)
    if comparison.similarity is Similarity.NUMBERS:
        return _by_number(ours, theirs, comparison.tolerance or 0)
    cut = _groups if comparison.similarity is Similarity.TEXT else _words
    return _by_likeness(cut(_text(ours)), cut(_text(theirs)), comparison.threshold or 0)


def likeness(ours: Iterable[str], theirs: Iterable[str]) -> float:
    """What two bags have in common: 0, nothing, to 1, all. Their order says nothing."""
    one, other = Counter(ours), Counter(theirs)
    size = one.total() + other.total()
    return 2 * (one & other).total() / size if size else 1.0


def _by_length(ours: tuple[Leaf, ...], theirs: tuple[Leaf, ...], threshold: float) -> str:
    one, other = len(_text(ours)), len(_text(theirs))
    is_near = min(one, other) >= threshold * max(one, other)
    return "" if is_near else f"length {one} and {other}"


def _by_value(ours: tuple[Leaf, ...], theirs: tuple[Leaf, ...]) -> str:
    for one, other in zip_longest(ours, theirs):
        if one is None or other is None or one.place != other.place:
            return _alone(one, other)
        if not _is_same(one, other):
            return f"{one.where} is {_shown(one.value)} and {_shown(other.value)}"
    return ""


def _by_number(ours: tuple[Leaf, ...], theirs: tuple[Leaf, ...], tolerance: float) -> str:
    """Place by place: relative where numbers are large, absolute where they are small."""
    for one, other in zip_longest(_numbers(ours), _numbers(theirs)):
        if one is None or other is None or one.place != other.place:
            return _alone(one, other)
        if not _is_near(one.number or 0.0, other.number or 0.0, tolerance):
            return f"{one.where} is {_shown(one.value)} and {_shown(other.value)}"
    return ""


def _by_likeness(ours: list[str], theirs: list[str], threshold: float) -> str:
    found = likeness(ours, theirs)
    return "" if found >= threshold else f"the texts are alike by {found:.2f}"


def _alone(one: Leaf | None, other: Leaf | None) -> str:
    """That one side has a value where the other has none."""
    if one is None or other is None:
        whose = "the shadow's" if one is None else "stable's"
        return f"{(one or other or _WHOLE).where} is {whose} alone"
    return f"stable has {one.where} where the shadow has {other.where}"


def _is_same(one: Leaf, other: Leaf) -> bool:
    """Equal as JSON: 1 is 1.0, and no true."""
    if one.number is not None and other.number is not None:
        return bool(one.value == other.value) or (isnan(one.number) and isnan(other.number))
    return type(one.value) is type(other.value) and bool(one.value == other.value)


def _is_near(one: float, other: float, tolerance: float) -> bool:
    if not (isfinite(one) and isfinite(other)):
        return one == other or (isnan(one) and isnan(other))
    return abs(one - other) <= tolerance * max(1.0, abs(one), abs(other))


def _numbers(side: tuple[Leaf, ...]) -> list[Leaf]:
    return [leaf for leaf in side if leaf.number is not None]


def _text(side: tuple[Leaf, ...]) -> str:
    """The values for reading, without the names of their fields."""
    return "\n".join(
        leaf.value if isinstance(leaf.value, str) else json.dumps(leaf.value) for leaf in side
    )


def _groups(text: str) -> list[str]:
    """Each run of three letters; a text that is shorter is one group."""
    return [text[i : i + _GROUP] for i in range(max(1, len(text) - _GROUP + 1))]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _shown(value: Any) -> str:
    return _readable(json.dumps(value, ensure_ascii=False), _LONGEST_SHOWN)


def _readable(said: str, longest: int) -> str:
    """Fit for a history: names and values come from a model, and may be anything."""
    text = "".join(char if char.isprintable() else "?" for char in said)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
