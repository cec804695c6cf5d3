"""The arguments of a template: what is declared, what is given, and whether both fit."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Violation

Value = str | bool | int | float

MOST_ARGUMENTS = 30
LONGEST_NAME = 63
LONGEST_TEXT = 1000
# Beyond it a float, which is what JSON's readers make of a number, is not exact.
MOST_WHOLE = 2**53
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME_RULE = (
    "letters, digits and '_', starting with a letter or '_', "
    f"at most {LONGEST_NAME} characters"
)  # fmt: skip
# As Prometheus writes them: units from the largest to the smallest, each at most once. It takes
# none of zero, be it a range or an offset.
_DURATION = re.compile(
    r"(?=.*[1-9])(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?"
)
_LONGEST_DURATION = 63
_DURATION_RULE = "must be a duration of more than zero, such as 30s, 5m or 1h30m"
_UNREADABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
# Filled in, it would be a placeholder itself.
_OPENING = "{{"
UNREADABLE_RULE = "must not hold control characters other than line breaks and tabs"


class ArgumentType(StrEnum):
    NUMBER = "number"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"
    DURATION = "duration"

    @property
    def is_numeric(self) -> bool:
        return self in (ArgumentType.NUMBER, ArgumentType.INTEGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What a template asks for. Without a default it must be given.

    The example is what the template is tried with when it is written.
    """

    name: str
    type: ArgumentType
    default: Value | None = None
    example: Value | None = None
    description: str = ""

    @property
    def sample(self) -> Value | None:
        return self.example if self.default is None else self.default


def argument_violations(arguments: Sequence[Argument]) -> Iterator[Violation]:
    """The rules that a template's arguments break, each with its field."""
    if len(arguments) > MOST_ARGUMENTS:
        yield Violation("arguments", f"must be at most {MOST_ARGUMENTS}")
    names = [argument.name for argument in arguments]
    for i, argument in enumerate(arguments):
        at = f"arguments.{i}"
        if not NAME.fullmatch(argument.name) or len(argument.name) > LONGEST_NAME:
            yield Violation(f"{at}.name", f"must be {NAME_RULE}")
        if names.index(argument.name) != i:
            yield Violation(f"{at}.name", f"{argument.name!r} names another argument already")
        if argument.sample is None:
            yield Violation(at, "needs a default, or an example that the template is tried with")
        for place, value in (("default", argument.default), ("example", argument.example)):
            if value is not None and (rule := broken_rule(argument.type, value)):
                yield Violation(f"{at}.{place}", rule)


def given_violations(
    declared: Sequence[Argument], given: Mapping[str, Value], at: str
) -> Iterator[Violation]:
    """The rules that the arguments of a use break; `at` is the field that has them."""
    by_name = {argument.name: argument for argument in declared}
    for name, value in given.items():
        if name not in by_name:
            known = ", ".join(sorted(by_name)) or "none"
            rule = f"is no argument of the template, which has: {known}"
            yield Violation(f"{at}.{name[:LONGEST_NAME]}", rule)
        elif rule := broken_rule(by_name[name].type, value):
            yield Violation(f"{at}.{name}", rule)
    for argument in declared:
        if argument.default is None and argument.name not in given:
            yield Violation(f"{at}.{argument.name}", f"is required, of the type {argument.type}")


def with_defaults(declared: Sequence[Argument], given: Mapping[str, Value]) -> dict[str, Value]:
    """What was given, and the defaults of the rest, in the order of the declaration.

    Raises KeyError for what is missing: see `given_violations`.
    """
    defaults = {one.name: one.default for one in declared if one.default is not None}
    values = {**defaults, **given}
    return {one.name: values[one.name] for one in declared}


def broken_rule(kind: ArgumentType, value: Value) -> str:
    """The rule of the type that the value breaks; "" where it breaks none."""
    match kind:
        case ArgumentType.NUMBER:
            return "" if _is_number(value) else "must be a number"
        case ArgumentType.INTEGER:
            fits = isinstance(value, int) and _is_number(value)
            return "" if fits else "must be a whole number, written without a point"
        case ArgumentType.BOOLEAN:
            return "" if isinstance(value, bool) else "must be true or false"
        case ArgumentType.DURATION:
            return "" if _is_duration(value) else _DURATION_RULE
        case ArgumentType.STRING:
            return _text_rule(value)


def _is_number(value: Value) -> bool:
    match value:
        case bool() | str():
            return False
        case int():
            return abs(value) <= MOST_WHOLE
        case float():
            return math.isfinite(value)


def _is_duration(value: Value) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= _LONGEST_DURATION
        and _DURATION.fullmatch(value) is not None
    )


def _text_rule(value: Value) -> str:
    if not isinstance(value, str):
        return "must be a string"
    if len(value) > LONGEST_TEXT:
        return f"must be at most {LONGEST_TEXT} characters"
    if _OPENING in value:
        return f"must not hold {_OPENING}, which begins a placeholder"
    return UNREADABLE_RULE if is_unreadable(value) else ""


def is_unreadable(text: str) -> bool:
    """Whether it holds what no database and no reader takes."""
    return _UNREADABLE.search(text) is not None
