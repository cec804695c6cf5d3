"""What a condition says of an answer: true, false, or unknown.

Asking never raises, whatever the answer holds, and takes time in proportion to the tree and to
the number of series. What cannot be told is UNKNOWN and stays so unless the rest decides alone.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import assert_never

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

# A number for each series in turn, None where it cannot be told.
_Numbers = list[float | None]


class Truth(StrEnum):
    """UNKNOWN: not a number, infinite, no series, divided by zero, or too large."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


_OPPOSITE = {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.UNKNOWN: Truth.UNKNOWN}
_COMPARED: dict[Order, Callable[[float, float], bool]] = {
    Order.LESS: operator.lt,
    Order.AT_MOST: operator.le,
    Order.MORE: operator.gt,
    Order.AT_LEAST: operator.ge,
    Order.EQUAL: operator.eq,
    Order.UNEQUAL: operator.ne,
}
_COMPUTED: dict[Operator, Callable[[float, float], float]] = {
    Operator.PLUS: operator.add,
    Operator.MINUS: operator.sub,
    Operator.TIMES: operator.mul,
    Operator.OVER: operator.truediv,
}


def holds_for_every(condition: Claim, series: Sequence[float]) -> Truth:
    """Whether it is true of each series in turn: one that is not is enough for FALSE."""
    return _every(_Answer(series).truths(condition))


def holds_for_any(condition: Claim, series: Sequence[float]) -> Truth:
    """Whether it is true of some series in its turn: one is enough for TRUE."""
    return _some(_Answer(series).truths(condition))


class _Answer:
    """One value a series. Each node of a tree is asked once, for all series together.

    Without series there is one turn all the same, in which the series' value is not known.
    """

    def __init__(self, series: Sequence[float]) -> None:
        self._series = series
        self._turns = len(series) or 1
        known: _Numbers = [value if math.isfinite(value) else None for value in series]
        self._known = known or [None]

    def truths(self, claim: Claim) -> list[Truth]:
        """One a turn."""
        match claim:
            case Comparison():
                return self._compared(claim)
            case Odd():
                return self._odd(claim)
            case Quantified():
                return [self._quantified(claim)] * self._turns
            case Not():
                return [_OPPOSITE[truth] for truth in self.truths(claim.claim)]
            case Linked():
                link = _every if claim.link is Link.AND else _some
                left, right = self.truths(claim.left), self.truths(claim.right)
                return [link(pair) for pair in zip(left, right, strict=True)]
            case _:
                assert_never(claim)

    def _compared(self, claim: Comparison) -> list[Truth]:
        compare = _COMPARED[claim.order]
        pairs = zip(self._numbers(claim.left), self._numbers(claim.right), strict=True)
        return [
            Truth.UNKNOWN if left is None or right is None else _truth(compare(left, right))
            for left, right in pairs
        ]

    def _odd(self, claim: Odd) -> list[Truth]:
        if not self._series:
            return [Truth.UNKNOWN]
        is_odd = math.isnan if claim.oddity is Oddity.NAN else math.isinf
        return [_truth(is_odd(value)) for value in self._series]

    def _quantified(self, claim: Quantified) -> Truth:
        """UNKNOWN without series, of which logic would say that all are fine."""
        if not self._series:
            return Truth.UNKNOWN
        truths = self.truths(claim.claim)
        return _every(truths) if claim.amount is Amount.ALL else _some(truths)

    def _numbers(self, number: Number) -> _Numbers:  # noqa: PLR0911 - one return a kind of number
        """One a turn, finite or None."""
        match number:
            case Literal():
                return [number.value] * self._turns
            case Series():
                return self._known
            case Length():
                return [float(len(self._series))] * self._turns
            case ExtremeOfSeries():
                return [_extreme(number.extreme, self._known)] * self._turns
            case ExtremeOf():
                columns = [self._numbers(one) for one in number.numbers]
                return [_extreme(number.extreme, row) for row in zip(*columns, strict=True)]
            case Absolute():
                return [None if one is None else abs(one) for one in self._numbers(number.of)]
            case Negative():
                return [None if one is None else -one for one in self._numbers(number.of)]
            case Default():
                return self._defaulted(number)
            case Arithmetic():
                pairs = zip(self._numbers(number.left), self._numbers(number.right), strict=True)
                return [_computed(number.operator, *pair) for pair in pairs]
            case _:
                assert_never(number)

    def _defaulted(self, number: Default) -> _Numbers:
        """The default stands for no series and for nothing else: NaN is asked about by name."""
        of, otherwise = self._numbers(number.of), self._numbers(number.otherwise)
        return otherwise if not self._series and of == [None] else of


def _truth(claim: bool) -> Truth:
    return Truth.TRUE if claim else Truth.FALSE


def _every(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    if Truth.FALSE in found:
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.TRUE


def _some(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    if Truth.TRUE in found:
        return Truth.TRUE
    return Truth.UNKNOWN if Truth.UNKNOWN in found else Truth.FALSE


def _extreme(extreme: Extreme, numbers: Sequence[float | None]) -> float | None:
    """Not known where one of the numbers is not: it might be the one."""
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    return min(known) if extreme is Extreme.MIN else max(known)


def _computed(sign: Operator, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (sign is Operator.OVER and right == 0):
        return None
    number = _COMPUTED[sign](left, right)
    return number if math.isfinite(number) else None
