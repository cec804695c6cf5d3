"""Which numbers of a JSON document are meant: a small part of JSONPath (RFC 9535).

`$`, then any of `.name`, `['name']`, `[0]`, `[-1]`, `.*` and `[*]`. There are no filters and no
`..`: one pass over a document finds all there is, however it was made.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from domain.errors import TidegateError

LONGEST_PATH = 500
# As many series as a query may answer.
MOST_FOUND = 1000
_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff-]*)"
    r"|\[(?P<index>-?(?:0|[1-9][0-9]{0,8}))\]"
    r"|\['(?P<single>[^'\\]+)'\]|\[\"(?P<double>[^\"\\]+)\"\]"
    r"|(?P<all>\.\*|\[\*\])"
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|NaN|[+-]?Inf")
_EXCERPT = 40


class PathError(ValueError):
    """What is no path; the message is a rule that it breaks."""


class NoNumber(TidegateError):
    """What the path leads to is no number."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """`steps` are names, indexes, and None for all members or elements."""

    steps: tuple[str | int | None, ...]

    def find(self, document: Any) -> list[Any]:
        """All values that the path leads to, none where it leads nowhere."""
        found = [document]
        for step in self.steps:
            found = [value for one in found for value in _children(one, step)]
        return found

    def numbers(self, document: Any) -> tuple[float, ...]:
        """The numbers that the path leads to. Raises NoNumber.

        true is 1 and false 0, a text that is a number is that number, and null is NaN: a number
        that is not known.
        """
        found = self.find(document)
        if len(found) > MOST_FOUND:
            raise NoNumber(f"the path leads to {len(found):,} values, and not to {MOST_FOUND:,}")
        return tuple(map(_number, found))


def parse_path(text: str) -> JsonPath:
    """Raises PathError."""
    if len(text) > LONGEST_PATH:
        raise PathError(f"must have at most {LONGEST_PATH} characters")
    if not text.startswith("$"):
        raise PathError("must begin with $, which is the whole answer, such as $.data[0].score")
    return JsonPath(tuple(_steps(text)))


def _steps(text: str) -> Iterator[str | int | None]:
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            rule = f"at character {at} expected .name, ['name'], [0] or [*]"
            raise PathError(f"{rule}, found {text[at : at + _EXCERPT]!r}")
        at = match.end()
        if match["all"]:
            yield None
        elif match["index"]:
            yield int(match["index"])
        else:
            yield match["name"] or match["single"] or match["double"]


def _children(value: Any, step: str | int | None) -> Iterable[Any]:
    match value, step:
        case dict(), None:
            return list(value.values())
        case list(), None:
            return value
        case dict(), str() if step in value:
            return [value[step]]
        case list(), int() if -len(value) <= step < len(value):
            return [value[step]]
        case _:
            return []


def _number(value: Any) -> float:
    match value:
        case None:
            return math.nan
        case bool() | int() | float():
            try:
                return float(value)
            except OverflowError:
                raise NoNumber("the path leads to a number that is too large") from None
        case str() if _NUMBER.fullmatch(value):
            return float(value)
    raise NoNumber(f"the path leads to {_shown(value)}, which is no number")


def _shown(value: Any) -> str:
    """Of an answer that may be nested deeper than can be written."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return json.dumps(value[:_EXCERPT], ensure_ascii=False)
