"""The words of a condition, and what is said where a text is none."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST_QUOTE = 40
_WORD = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>&&|\|\||[<>=!]=|[-+*/<>!()\[\]{},#])"
    r"|(?P<space>[ \t\r\n]+)"
)


class ConditionError(ValueError):
    """A text is no condition: where it stops being one (from 1 on), and what should stand there."""

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(f"at character {position} expected {expected}, found {found}")
        self.position, self.expected, self.found = position, expected, found


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a text; the one at its end is empty."""

    text: str
    position: int
    is_number: bool = False
    is_name: bool = False

    def __str__(self) -> str:
        return repr(self.text[:_LONGEST_QUOTE]) if self.text else "the end"


def tokens(text: str) -> Iterator[Token]:
    """The words and signs in order, then the end. Raises ConditionError at what is neither."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if not found:
            raise ConditionError(at + 1, "a number, a name or an operator", repr(text[at]))
        kind = found.lastgroup
        if kind != "space":
            yield Token(found[0], at + 1, is_number=kind == "number", is_name=kind == "name")
        at = found.end()
    yield Token("", at + 1)
