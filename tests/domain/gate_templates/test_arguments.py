"""Arguments of templates: declared well, given well."""

from typing import Any

import pytest

from domain.gate_templates.arguments import (
    LONGEST_TEXT,
    MOST_ARGUMENTS,
    MOST_WHOLE,
    ArgumentType,
    argument_violations,
    broken_rule,
    given_violations,
    with_defaults,
)
from tests.gate_templates import an_argument

FITTING: dict[str, list[Any]] = {
    "number": [0, 1, -2, 0.5, -1e-9, 1e300, MOST_WHOLE],
    "integer": [0, -3, MOST_WHOLE],
    "string": ["", "für\teine\nZeile", "x" * LONGEST_TEXT],
    "boolean": [True, False],
    "duration": ["30s", "5m", "1h30m", "1d", "250ms", "1y2w3d4h5m6s7ms", "0h05m"],
}
UNFIT: dict[str, list[Any]] = {
    "number": [True, "1", float("nan"), float("inf"), MOST_WHOLE + 1, 10**400, -(10**400)],
    "integer": [True, "1", 1.0, 0.5, MOST_WHOLE + 1, -MOST_WHOLE - 1],
    "string": [1, True, 0.5, "x" * (LONGEST_TEXT + 1), "\x00", "a\x1b", "\ud800", "\r", "{{a}}"],
    "boolean": [0, 1, "true"],
    "duration": ["", "5", "5 m", "m", "30m1h", "5m5m", "-5m", "1.5h", 5, "5m\n", "٣m", "1" * 70 + "s"],
}  # fmt: skip


def rules(found):
    return {one.field: one.rule for one in found}


def each_of(values):
    return [
        pytest.param(kind, value, id=f"{kind}-{i}")
        for kind, some in values.items()
        for i, value in enumerate(some)
    ]


@pytest.mark.parametrize(("kind", "value"), each_of(FITTING))
def test_a_value_of_the_type_is_taken(kind, value):
    assert broken_rule(ArgumentType(kind), value) == ""
    assert not rules(argument_violations([an_argument(kind, default=value)]))
    assert not rules(given_violations([an_argument(kind)], {"a": value}, "arguments"))


@pytest.mark.parametrize(("kind", "value"), each_of(UNFIT))
def test_a_value_of_another_type_is_refused_wherever_it_is_given(kind, value):
    assert rules(argument_violations([an_argument(kind, default=value)])).keys() == {
        "arguments.0.default"
    }
    both = an_argument(kind, default=FITTING[kind][0], example=value)
    assert rules(argument_violations([both])).keys() == {"arguments.0.example"}
    told = rules(given_violations([an_argument(kind)], {"a": value}, "at"))
    assert told.keys() == {"at.a"}


@pytest.mark.parametrize("nothing", ["0s", "0ms", "000s", "0h0m"])
def test_a_duration_of_zero_is_refused_as_it_is_no_range(nothing):
    rule = broken_rule(ArgumentType.DURATION, nothing)
    assert rule == "must be a duration of more than zero, such as 30s, 5m or 1h30m"


def test_every_type_is_tried():
    assert FITTING.keys() == UNFIT.keys() == set(ArgumentType)


@pytest.mark.parametrize("name", ["", "a b", "a-b", "1a", "ä", "a" * 64, "a.b", "a\n"])
def test_a_name_that_no_placeholder_can_have_is_refused(name):
    told = rules(argument_violations([an_argument("number", name, default=1)]))
    assert told.keys() == {"arguments.0.name"}


def test_a_name_is_declared_once_and_there_are_not_too_many():
    one = an_argument("number", default=1)
    assert rules(argument_violations([one, one])) == {
        "arguments.1.name": "'a' names another argument already"
    }
    many = [an_argument("number", f"a{i}", default=1) for i in range(MOST_ARGUMENTS + 1)]
    assert rules(argument_violations(many)) == {"arguments": f"must be at most {MOST_ARGUMENTS}"}
    assert not rules(argument_violations(many[1:]))


def test_an_argument_needs_something_to_be_tried_with():
    assert rules(argument_violations([an_argument("number")])).keys() == {"arguments.0"}
    assert not rules(argument_violations([an_argument("boolean", default=False)]))
    assert not rules(argument_violations([an_argument("number", example=0)]))


def test_what_is_undeclared_or_missing_is_told_with_what_there_is():
    declared = [an_argument("number", "limit", example=1), an_argument("string", "x", default="")]
    assert rules(given_violations(declared, {"limits": 1}, "at")) == {
        "at.limits": "is no argument of the template, which has: limit, x",
        "at.limit": "is required, of the type number",
    }
    assert rules(given_violations([], {"limit": 1}, "at")) == {
        "at.limit": "is no argument of the template, which has: none"
    }


def test_defaults_stand_for_what_was_not_given():
    declared = [an_argument("boolean", "a", default=False), an_argument("number", "b", default=1)]
    assert with_defaults(declared, {}) == {"a": False, "b": 1}
    assert with_defaults(declared, {"b": 2, "a": True}) == {"a": True, "b": 2}
    assert list(with_defaults(declared, {"b": 2, "a": True})) == ["a", "b"]
