"""docs/conditions.md: the grammar is the parser's, the examples and rules are true."""

import re
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.conditions.parser import DEEPEST, LONGEST, MOST_NODES, parse
from domain.conditions.printer import printed
from domain.conditions.tokens import ConditionError, tokens
from domain.conditions.truth import holds_for_any, holds_for_every
from domain.reading_gates import PLACEHOLDERS
from domain.readings.judge import judge_readings
from domain.readings.outcomes import Conditions, Outcome
from domain.readings.rules import Reading, ReadingRules, reading_violations
from domain.verdicts import Status
from tests.docs.grammar import Grammar
from tests.docs.pages import blocks, page, search, section, tables
from tests.domain.conditions.trees import trees
from tests.domain.evidence.scenes import unhurried

TEXT = page("conditions")
GRAMMAR = Grammar(blocks(TEXT, "ebnf")[0], word_rules=("literal",))
LITERALS = Grammar(blocks(TEXT, "ebnf")[0])
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Ways to write one thing, of which the printer knows the first.
SPELLINGS = [
    ("&&", "and"), ("||", "or"), ("!", "not "), ("result[0]", "result"), ("result[0]", "(result)"),
    ("0", ".5"), ("1", "1E+2"), ("#", "(#)"), ("# <", "# + #<"), ("result[0]", "#"), ("#", "result"),
    ("<", "<="), ("(", "(("), (")", "))"), (" ", ""), ("result[0]", "1"), ("#", "1"), (",", ""),
    ("result, {", "{"), ("-", "- -"), ("len(result)", "len(result[0])"), ("<", "< 1 <"), ("0", "1"),
]  # fmt: skip
# What the page says beyond the grammar.
BEYOND = {
    "a number or result",
    "#, the series in braces",
    "no index in braces, where # is the series",
    "a comparison with the answer",
    f"a number up to {sys.float_info.max:.1e}",
    f"at most {DEEPEST} levels of nesting",
    f"at most {MOST_NODES} parts",
    f"the end after {LONGEST} characters",
}


def number(text):
    return float(text.strip())


@pytest.mark.parametrize("row", tables(section(TEXT, "Examples"))[0], ids=" | ".join)
def test_an_example_says_what_is_told(row):
    condition, answer, every, some = row
    series = [number(one) for one in answer.strip("[]").split(",") if one]

    assert holds_for_every(parse(condition), series) == every
    assert holds_for_any(parse(condition), series) == some


def words_of(text):
    """Its words without the end; None where something in it is no word."""
    try:
        return list(tokens(text))[:-1]
    except ConditionError:
        return None


def is_derived(text):
    words = words_of(text)
    if words is None:
        return False
    numbers = {word.text for word in words if word.is_number}
    sentence = [word.text for word in words]
    return GRAMMAR.derives("condition", sentence, lambda _, word: word in numbers)


def refusal(text):
    try:
        parse(text)
    except ConditionError as error:
        return error
    return None


def assert_the_grammar_agrees(text):
    refused = refusal(text)
    if refused is None:
        assert is_derived(text)
    elif is_derived(text):
        assert refused.expected in BEYOND
        assert refused.expected != "a number or result" or refused.found == "'#'"


@settings(unhurried, max_examples=200)
@given(trees.map(printed))
def test_every_condition_follows_from_the_grammar(text):
    assert is_derived(text)


@settings(unhurried, max_examples=600)
@given(
    trees.map(printed),
    st.lists(st.tuples(st.sampled_from(SPELLINGS), st.integers(1, 2)), max_size=3),
)
def test_the_grammar_and_the_parser_agree_on_what_is_no_condition(text, changes):
    for (old, new), times in changes:
        text = text.replace(old, new, times)
    assert_the_grammar_agrees(text)


@pytest.mark.parametrize(
    "text",
    [
        "result < 1 or result > 2 and not isNaN(result)",
        "!!isInf((result[0]))",
        "max(result, .5) < 1E+2",
    ],
)
def test_other_spellings_follow_from_the_grammar(text):
    assert refusal(text) is None
    assert is_derived(text)


@pytest.mark.parametrize(
    "text",
    [
        *("# < 1", "1 < 2", "all(result, {result < 1})", "any(result, {result[0] < 1})"),
        *("result < 1e999", "-" * (DEEPEST + 1) + "result < 1"),
    ],
)
def test_what_is_refused_beyond_the_grammar_is_told(text):
    assert is_derived(text)
    assert refusal(text).expected in BEYOND


@settings(unhurried, max_examples=500)
@given(st.text("0123.eE+-", min_size=1, max_size=8))
def test_a_number_is_what_the_grammar_says(text):
    words = words_of(text) or []
    is_number = [word.text for word in words if word.is_number] == [text]
    assert LITERALS.derives("literal", list(text)) is is_number


def test_the_grammar_knows_every_function_and_no_other():
    refused = refusal("nothing(1) < result")
    functions = refused.expected.removeprefix("result or one of ").split(", ")
    words = {word for word in GRAMMAR.terminals if re.fullmatch(r"[a-z]{2,}|is[A-Z].*", word)}

    assert words - {"result", "and", "or", "not"} == set(functions)


def test_the_bounds_are_those_of_the_parser():
    told = search(r"At most (\d+) characters, (\d+) parts .*? and (\d+) levels", TEXT)
    assert told == (f"{LONGEST}", f"{MOST_NODES}", f"{DEEPEST}")


def test_what_a_refusal_says_is_said_so():
    assert f"> {refusal('result[1] < 5')}\n" in TEXT


def test_what_is_told_to_be_written_can_be_written():
    for text in re.findall(r"write `([^`]*)`", section(TEXT, "Grammar")):
        assert refusal(text) is None
    assert len(re.findall(r"write `", TEXT)) == 2


SAID = {"true": 1.0, "false": -1.0, "unknown": float("nan")}


def outcome(value, **conditions):
    return Conditions.of(ReadingRules(**conditions)).outcome(Reading(at=NOON, series=(value,)))


def test_the_outcomes_are_those_of_the_code():
    rows, _ = tables(section(TEXT, "Readings"))
    assert [row[0] for row in rows] == list(Outcome)
    for told, _, success, failure in rows[:-1]:
        assert outcome(SAID[success], success_condition="result[0] > 0") == told
        assert outcome(SAID[failure], failure_condition="result[0] > 0") == told
    both = {"success_condition": "result[0] > 0", "failure_condition": "result[0] > 1"}
    assert [outcome(value, **both) for value in (1.0, 2.0, -1.0)] == [
        Outcome.SUCCESS,
        Outcome.FAILURE,
        Outcome.INCONCLUSIVE,
    ]


def test_every_field_is_told_with_its_default():
    _, rows = tables(section(TEXT, "Readings"))
    conditions = {"success_condition", "failure_condition"}
    known = [one for one in fields(ReadingRules) if one.name not in conditions]
    assert [row[0] for row in rows] == [one.name for one in known]
    for row, one in zip(rows, known, strict=True):
        default = getattr(ReadingRules(), one.name)
        assert row[1] == {None: "none", timedelta(0): "0"}.get(default, str(default))


def test_every_placeholder_is_told():
    told = [row[0].strip("{}") for row in tables(section(TEXT, "Queries"))[0]]
    assert sorted(told) == sorted(PLACEHOLDERS)
    alone = [name for name, value in PLACEHOLDERS.items() if not isinstance(value, str)]
    assert search(r"Outside of quotes only `\{\{(\w+)\}\}` may stand", TEXT) == tuple(alone)


def verdicts(values, **given):
    """The verdict after each reading; None is an error."""
    rules = ReadingRules(**{"success_condition": "result[0] > 0", "interval": MINUTE, **given})
    assert list(reading_violations("gate", rules)) == []
    taken = [
        Reading(at=NOON + i * MINUTE, error="timed out")
        if value is None
        else Reading(at=NOON + i * MINUTE, series=(value,))
        for i, value in enumerate(values)
    ]
    return [judge_readings("g", rules, taken[: i + 1]).status for i in range(len(taken))]


PASS, FAIL, UNDECIDED, UNAVAILABLE = Status
NAN = SAID["unknown"]


@pytest.mark.parametrize(
    ("field", "values", "then"),
    [
        ("interval", [1.0], PASS),
        ("count", [1.0, 1.0], PASS),
        ("failure_limit", [-1.0, 1.0, -1.0, 1.0, -1.0], FAIL),
        ("consecutive_failure_limit", [-1.0, NAN, -1.0, None, -1.0], FAIL),
        ("consecutive_success_limit", [1.0, NAN, 1.0, 1.0], PASS),
        ("consecutive_error_limit", [None] * 3, UNAVAILABLE),
        ("inconclusive_limit", [NAN] * 3 + [1.0], UNDECIDED),
    ],
)
def test_a_limit_is_reached_where_the_page_says_so(field, values, then):
    limits = {field: None if field == "interval" else 2}
    if field == "consecutive_failure_limit":
        limits["failure_limit"] = None
    said = verdicts(values, **limits)

    assert said[-1] is then
    assert then not in said[:-1] or then is UNDECIDED


def test_where_argo_differs_is_true():
    assert verdicts([None] * 5 + [1.0])[-2:] == [UNAVAILABLE, PASS]
    assert verdicts([NAN, float("inf")]) == [UNDECIDED, UNDECIDED]
    assert verdicts([NAN] * 9, count=2) == [UNDECIDED] * 9
    assert verdicts([]) == []
    refused = ReadingRules(success_condition="result[0] > 0", failure_limit=-1)
    assert [one.field for one in reading_violations("gate", refused)] == ["gate.failure_limit"]
    for text in ("isNil(result)", "asInt(result) < 1", "asFloat(result) < 1", "result ? 1 : 2"):
        assert refusal(text) is not None
    for text in ("result % 2 < 1", "result ** 2 < 1", "true"):
        assert refusal(text) is not None
