"""Text to tree, by recursive descent and within bounds; docs/conditions.md has the grammar.

Each part is checked for its kind as it is read: a claim where a number must stand is found here.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from domain.conditions.tokens import ConditionError, Token, tokens
from domain.conditions.tree import (
    Absolute,
    Amount,
    Arithmetic,
    Claim,
    Comparison,
    Default,
    Extreme,
    ExtremeOf,
    ExtremeOfSeries,
    Length,
    Link,
    Linked,
    Literal,
    Negative,
    Not,
    Number,
    Odd,
    Oddity,
    Operator,
    Order,
    Quantified,
    Series,
)
from domain.errors import Violation

LONGEST = 500
DEEPEST = 16
MOST_NODES = 100
_T = TypeVar("_T")
_ANSWER = "result"
_NOT = ("!", "not")
# What binds least comes first; all of it groups from the left.
_LEVELS: tuple[dict[str, Link | Order | Operator], ...] = (
    {"||": Link.OR, "or": Link.OR},
    {"&&": Link.AND, "and": Link.AND},
    {order.value: order for order in Order},
    {"+": Operator.PLUS, "-": Operator.MINUS},
    {"*": Operator.TIMES, "/": Operator.OVER},
)


def parse(text: str) -> Claim:
    """Read a condition. Raises ConditionError."""
    if len(text) > LONGEST:
        raise ConditionError(LONGEST + 1, f"the end after {LONGEST} characters", "more")
    return _Parser(text).condition()


def condition_violations(field: str, text: str) -> Iterator[Violation]:
    """At most one: what makes the text no condition."""
    try:
        parse(text)
    except ConditionError as error:
        yield Violation(field, f"must be a condition such as result[0] < 0.05: {error}")


class _Whole:
    """The bare word `result`: all series where those are asked for, else the one in turn."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What has been read, and where it starts."""

    node: Claim | Number | _Whole
    start: Token


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._token = next(self._tokens)
        self._depth = self._nodes = 0
        self._in_braces = False

    def condition(self) -> Claim:
        claim = self._claim(self._joined())
        if self._token.text:
            raise self._error("an operator or the end")
        return claim

    def _joined(self, level: int = 0) -> _Part:
        """Parts joined by the operators of a level, each of parts that bind more tightly."""
        if level == len(_LEVELS):
            return self._signed()
        left = self._joined(level + 1)
        while sign := _LEVELS[level].get(self._token.text):
            self._step()
            left = self._combined(sign, left, self._joined(level + 1))
        return left

    def _combined(self, sign: Link | Order | Operator, left: _Part, right: _Part) -> _Part:
        if isinstance(sign, Link):
            return self._part(Linked(sign, self._claim(left), self._claim(right)), left.start)
        numbers = self._number(left), self._number(right)
        if isinstance(sign, Operator):
            return self._part(Arithmetic(sign, *numbers), left.start)
        if not any(map(_looks, numbers)):
            raise ConditionError(
                left.start.position, "a comparison with the answer", "one of constants"
            )
        return self._part(Comparison(sign, *numbers), left.start)

    def _signed(self) -> _Part:
        start = self._token
        if start.text in _NOT:
            self._step()
            return self._part(Not(self._claim(self._deeper(self._signed))), start)
        if start.text == "-":
            self._step()
            return self._part(Negative(self._number(self._deeper(self._signed))), start)
        return self._value()

    def _value(self) -> _Part:
        start = self._token
        if start.is_number:
            return self._part(self._literal(), start)
        if start.text == "(":
            return self._parenthesised()
        if start.text == "#" and self._in_braces:
            self._step()
            return self._part(Series(), start)
        if start.text == _ANSWER:
            self._step()
            return self._part(self._indexed(), start)
        if not start.is_name or start.text in ("and", "or"):
            known = "a number, # or a function" if self._in_braces else "a number or result"
            raise self._error(known)
        return self._called(start)

    def _literal(self) -> Literal:
        value = float(self._token.text)
        if not math.isfinite(value):
            raise self._error(f"a number up to {sys.float_info.max:.1e}")
        self._step()
        return Literal(value)

    def _parenthesised(self) -> _Part:
        start = self._token
        self._take("(")
        part = self._deeper(self._joined)
        self._take(")")
        node = part.node if isinstance(part.node, Claim) else self._number(part)
        return _Part(node, start)

    def _indexed(self) -> Series | _Whole:
        """What follows on `result`: the index 0 or nothing."""
        if self._token.text != "[":
            return _Whole()
        if self._in_braces:
            raise self._error("no index in braces, where # is the series")
        self._step()
        self._take("0", "0 (result[0] is each series in turn: they have no order)")
        self._take("]")
        return Series()

    def _called(self, name: Token) -> _Part:
        calls: dict[str, Callable[[], Claim | Number]] = {
            "len": self._length,
            "abs": self._absolute,
            "default": self._default,
            **{one.value: partial(self._extreme, one) for one in Extreme},
            **{one.value: partial(self._quantified, one) for one in Amount},
            **{one.value: partial(self._odd, one) for one in Oddity},
        }
        if name.text not in calls:
            raise self._error(f"result or one of {', '.join(sorted(calls))}")
        self._step()
        self._take("(")
        node = self._deeper(calls[name.text])
        self._take(")")
        return self._part(node, name)

    def _length(self) -> Length:
        self._take(_ANSWER)
        return Length()

    def _absolute(self) -> Absolute:
        return Absolute(self._number(self._joined()))

    def _default(self) -> Default:
        of = self._number(self._joined())
        self._take(",")
        return Default(of, self._number(self._joined()))

    def _extreme(self, extreme: Extreme) -> ExtremeOfSeries | ExtremeOf:
        first = self._joined()
        if isinstance(first.node, _Whole) and self._token.text == ")":
            return ExtremeOfSeries(extreme)
        self._take(",")
        numbers = [self._number(first), self._number(self._joined())]
        while self._token.text == ",":
            self._step()
            numbers.append(self._number(self._joined()))
        return ExtremeOf(extreme, tuple(numbers))

    def _quantified(self, amount: Amount) -> Quantified:
        self._take(_ANSWER)
        self._take(",")
        self._take("{")
        outside, self._in_braces = self._in_braces, True
        claim = self._claim(self._joined())
        self._take("}")
        self._in_braces = outside
        return Quantified(amount, claim)

    def _odd(self, oddity: Oddity) -> Odd:
        asked = self._joined()
        if not isinstance(self._number(asked), Series):
            raise ConditionError(asked.start.position, "result[0] or #", "a computed number")
        return Odd(oddity)

    def _claim(self, part: _Part) -> Claim:
        if isinstance(part.node, Claim):
            return part.node
        raise ConditionError(part.start.position, "a condition", "a number")

    def _number(self, part: _Part) -> Number:
        """A number, which the bare word `result` is as well: the series in turn."""
        if isinstance(part.node, Claim):
            raise ConditionError(part.start.position, "a number", "a condition")
        if not isinstance(part.node, _Whole):
            return part.node
        if self._in_braces:
            raise ConditionError(part.start.position, "#, the series in braces", "'result'")
        return Series()

    def _part(self, node: Claim | Number | _Whole, start: Token) -> _Part:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ConditionError(start.position, f"at most {MOST_NODES} parts", "one more")
        return _Part(node, start)

    def _deeper(self, read: Callable[[], _T]) -> _T:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"at most {DEEPEST} levels of nesting", "one more")
        part = read()
        self._depth -= 1
        return part

    def _take(self, text: str, expected: str = "") -> None:
        if self._token.text != text:
            raise self._error(expected or repr(text))
        self._step()

    def _step(self) -> None:
        self._token = next(self._tokens)

    def _error(self, expected: str, found: str = "") -> ConditionError:
        return ConditionError(self._token.position, expected, found or str(self._token))


def _looks(number: Number) -> bool:
    """Whether a number depends on the answer."""
    match number:
        case Literal():
            return False
        case Series() | Length() | ExtremeOfSeries():
            return True
        case Absolute() | Negative() | Default():
            return _looks(number.of)
        case ExtremeOf():
            return any(map(_looks, number.numbers))
        case Arithmetic():
            return _looks(number.left) or _looks(number.right)
