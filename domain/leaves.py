"""An answer as the values that it holds, each with its place: JSON taken apart, or a text whole."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

# Deeper is no answer of a model; to walk it would cost more than it says.
DEEPEST = 50

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that holds no further ones: a text, a number, true, false, null, or an empty list."""

    place: Place
    value: Any

    @property
    def where(self) -> str:
        return ".".join(map(str, self.place)) or "the answer"

    @property
    def number(self) -> float | None:
        """The value as a number; None where it is none. What no double holds is infinite."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            return None
        try:
            return float(self.value)
        except OverflowError:
            return float("inf") if self.value > 0 else float("-inf")


def leaves(text: str, ignore: Collection[str] = ()) -> tuple[Leaf, ...]:
    """The values in the order of their places. What is no JSON is one text.

    `ignore` names fields by dots, without the indexes of lists.
    """
    try:
        document = json.loads(text)
        found = tuple(_walk(document, frozenset(ignore)))
    except (ValueError, RecursionError):
        return (Leaf((), text),)
    return found


def _walk(document: Any, ignore: frozenset[str]) -> Iterator[Leaf]:
    """Depth first, without recursion: how deep an answer goes is not ours to say.

    Raises ValueError for one that goes deeper than DEEPEST.
    """
    waiting: list[tuple[Place, str, Any]] = [((), "", document)]
    while waiting:
        place, name, value = waiting.pop()
        if len(place) > DEEPEST:
            raise ValueError("nested too deeply")
        within: list[tuple[Place, str, Any]] = []
        if isinstance(value, dict):
            named = ((key, f"{name}.{key}" if name else key) for key in sorted(value))
            within = [((*place, k), n, value[k]) for k, n in named if n not in ignore]
        elif isinstance(value, list):
            within = [((*place, i), name, one) for i, one in enumerate(value)]
        if not within:
            yield Leaf(place, value if not isinstance(value, dict) else {})
        waiting += reversed(within)
