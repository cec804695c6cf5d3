"""A tree as text, with no more parentheses than it needs; `parser.parse` reads the same tree."""

from typing import assert_never

from domain.conditions.tree import (
    Absolute,
    Arithmetic,
    Claim,
    Comparison,
    Default,
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
    Operator,
    Quantified,
    Series,
)

# How tightly each kind holds its parts together.
_OR, _AND, _COMPARE, _ADD, _MULTIPLY, _SIGN, _ATOM = range(7)
_LARGEST_WHOLE = 1e15
_IN_TURN, _IN_BRACES = "result[0]", "#"


def printed(condition: Claim) -> str:
    return _claim(condition, _IN_TURN)


def _claim(claim: Claim, series: str) -> str:
    match claim:
        case Comparison():
            left, right = (_held(side, _ADD, series) for side in (claim.left, claim.right))
            return f"{left} {claim.order} {right}"
        case Odd():
            return f"{claim.oddity}({series})"
        case Quantified():
            return f"{claim.amount}(result, {{{_claim(claim.claim, _IN_BRACES)}}})"
        case Not():
            return f"!{_held(claim.claim, _SIGN, series)}"
        case Linked():
            level = _level(claim)
            left, right = _held(claim.left, level, series), _held(claim.right, level + 1, series)
            return f"{left} {claim.link} {right}"
        case _:
            assert_never(claim)


def _number(number: Number, series: str) -> str:  # noqa: PLR0911 - one return a kind of number
    match number:
        case Literal():
            return _literal(number.value)
        case Series():
            return series
        case Length():
            return "len(result)"
        case ExtremeOfSeries():
            return f"{number.extreme}(result)"
        case ExtremeOf():
            return f"{number.extreme}({_listed(series, *number.numbers)})"
        case Absolute():
            return f"abs({_number(number.of, series)})"
        case Default():
            return f"default({_listed(series, number.of, number.otherwise)})"
        case Negative():
            return f"-{_held(number.of, _SIGN, series)}"
        case Arithmetic():
            level = _level(number)
            left, right = _held(number.left, level, series), _held(number.right, level + 1, series)
            return f"{left} {number.operator} {right}"
        case _:
            assert_never(number)


def _listed(series: str, *numbers: Number) -> str:
    return ", ".join(_number(number, series) for number in numbers)


def _held(part: Claim | Number, level: int, series: str) -> str:
    """A part of something that holds as tightly as the level: in parentheses if it must be."""
    text = _claim(part, series) if isinstance(part, Claim) else _number(part, series)
    return text if _level(part) >= level else f"({text})"


def _level(part: Claim | Number) -> int:
    match part:
        case Linked():
            return _AND if part.link is Link.AND else _OR
        case Comparison():
            return _COMPARE
        case Arithmetic():
            return _ADD if part.operator in (Operator.PLUS, Operator.MINUS) else _MULTIPLY
        case Not() | Negative():
            return _SIGN
        case _:
            return _ATOM


def _literal(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() and value < _LARGEST_WHOLE else repr(value)
