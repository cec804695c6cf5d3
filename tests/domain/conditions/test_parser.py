"""What is a condition, what is none, and what is said then."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.conditions.parser import DEEPEST, LONGEST, MOST_NODES, condition_violations, parse
from domain.conditions.printer import printed
from domain.conditions.tokens import ConditionError
from domain.conditions.tree import Comparison, Literal, Order, Series
from domain.errors import Violation
from tests.domain.conditions.trees import trees
from tests.domain.evidence.scenes import unhurried


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("result[0] >= 0.95", "result[0] >= 0.95"),
        ("result>=.95", "result[0] >= 0.95"),
        ("(result[0]) < 5.0", "result[0] < 5"),
        ("result < 1e-7", "result[0] < 1e-07"),
        ("result < 2.5E+3", "result[0] < 2500"),
        ("len(result) > 0 && default(result, 0) < 5", "len(result) > 0 && default(result[0], 0) < 5"),
        ("all(result, {# < 1})", "all(result, {# < 1})"),
        ("any(result, {isNaN(#)})", "any(result, {isNaN(#)})"),
        ("isNaN(result[0])", "isNaN(result[0])"),
        ("isNaN(result) or result < 1", "isNaN(result[0]) || result[0] < 1"),
        ("isNaN((result))", "isNaN(result[0])"),
        ("not isInf(result[0])", "!isInf(result[0])"),
        ("not (result > 1) and result > 0", "!(result[0] > 1) && result[0] > 0"),
        ("result > 1 || result > 2 && result > 3", "result[0] > 1 || result[0] > 2 && result[0] > 3"),
        ("(result > 1 || result > 2) && result > 3", "(result[0] > 1 || result[0] > 2) && result[0] > 3"),
        ("result - 1 - 2 < 3", "result[0] - 1 - 2 < 3"),
        ("result - (1 - 2) < 3", "result[0] - (1 - 2) < 3"),
        ("(result - 1) * 2 < 3", "(result[0] - 1) * 2 < 3"),
        ("result / (2 * 3) == --1", "result[0] / (2 * 3) == --1"),
        ("-(result + 1) != -result", "-(result[0] + 1) != -result[0]"),
        ("max(result) - min(result) < 2", "max(result) - min(result) < 2"),
        ("max(result, 1, 2) <= abs(result)", "max(result[0], 1, 2) <= abs(result[0])"),
        ("all(result, {# < 2 * min(result)})", "all(result, {# < 2 * min(result)})"),
        ("all(result, {any(result, {# > 1}) || # < 2})", "all(result, {any(result, {# > 1}) || # < 2})"),
        ("all(result, {# < 1}) && result > 0", "all(result, {# < 1}) && result[0] > 0"),
        (" \t\r\n1\n<\tresult ", "1 < result[0]"),
    ],
)  # fmt: skip
def test_a_condition_is_read(text, plain):
    assert printed(parse(text)) == plain
    assert parse(plain) == parse(text)


def test_the_tree_of_a_condition():
    assert parse("result[0] >= 0.95") == Comparison(Order.AT_LEAST, Series(), Literal(0.95))


# The text, the character it stops being a condition at, what should stand there, what does.
NONE = [
    ("", 1, "a number or result", "the end"),
    ("   ", 4, "a number or result", "the end"),
    ("result[0]", 1, "a condition", "a number"),
    ("0.95", 1, "a condition", "a number"),
    ("result[0] <", 12, "a number or result", "the end"),
    ("result[0] < < 1", 13, "a number or result", "'<'"),
    ("result[0] = 1", 11, "a number, a name or an operator", "'='"),
    ("result[0] & 1", 11, "a number, a name or an operator", "'&'"),
    ("result[0] < 5 %", 15, "a number, a name or an operator", "'%'"),
    ("result[0] < \N{ARABIC-INDIC DIGIT FIVE}", 13, "a number, a name or an operator", "'\N{ARABIC-INDIC DIGIT FIVE}'"),
    ("result[0] <\N{NO-BREAK SPACE}5", 12, "a number, a name or an operator", r"'\xa0'"),
    ("result[0] < 5 5", 15, "an operator or the end", "'5'"),
    ("result[0] < 5ms", 14, "an operator or the end", "'ms'"),
    ("result[0] < 5)", 14, "an operator or the end", "')'"),
    ("(result[0] < 5", 15, "')'", "the end"),
    ("result[1] < 5", 8, "0 (result[0] is each series in turn: they have no order)", "'1'"),
    ("result[-1] < 5", 8, "0 (result[0] is each series in turn: they have no order)", "'-'"),
    ("result[0.0] < 5", 8, "0 (result[0] is each series in turn: they have no order)", "'0.0'"),
    ("result[0 < 5", 10, "']'", "'<'"),
    ("0 < result[0] < 1", 1, "a number", "a condition"),
    ("!result[0] < 5", 2, "a condition", "a number"),
    ("!5 < result[0]", 2, "a condition", "a number"),
    ("result[0] && result[0] < 1", 1, "a condition", "a number"),
    ("result[0] < 1 || result[0]", 18, "a condition", "a number"),
    ("(result[0] < 1) + 1 < 2", 1, "a number", "a condition"),
    ("-(result[0] < 1) < 2", 2, "a number", "a condition"),
    ("abs(result[0] < 1) < 2", 5, "a number", "a condition"),
    ("1 < 2", 1, "a comparison with the answer", "one of constants"),
    ("result[0] < 1 || 1 < max(2, abs(3))", 18, "a comparison with the answer", "one of constants"),
    ("default(3, len(result)) < 4", 1, "a comparison with the answer", "one of constants"),
    ("all(result, {1 < 2})", 14, "a comparison with the answer", "one of constants"),
    ("all(result, # < 1)", 13, "'{'", "'#'"),
    ("all(result, {#})", 14, "a condition", "a number"),
    ("all(result, {result < 1})", 14, "#, the series in braces", "'result'"),
    ("all(result, {result[0] < 1})", 20, "no index in braces, where # is the series", "'['"),
    ("all(result, {and})", 14, "a number, # or a function", "'and'"),
    ("all(result[0], {# < 1})", 11, "','", "'['"),
    ("all(5, {# < 1})", 5, "'result'", "'5'"),
    ("all(result, {# < 1}) && # < 1", 25, "a number or result", "'#'"),
    ("# < 1", 1, "a number or result", "'#'"),
    ("len(result[0]) > 1", 11, "')'", "'['"),
    ("len() > 1", 5, "'result'", "')'"),
    ("max(result[0]) < 1", 14, "','", "')'"),
    ("max((result)) < 1", 13, "','", "')'"),
    ("max(1) < result", 6, "','", "')'"),
    ("default(result) < 1", 15, "','", "')'"),
    ("isNaN(result * 2)", 7, "result[0] or #", "a computed number"),
    ("isNaN(5)", 7, "result[0] or #", "a computed number"),
    ("isNaN(result) < 1", 1, "a number", "a condition"),
    ("Result[0] < 1", 1, "result or one of abs, all, any, default, isInf, isNaN, len, max, min", "'Result'"),
    ("__import__('os')", 1, "result or one of abs, all, any, default, isInf, isNaN, len, max, min", "'__import__'"),
    ("result < 'a'", 10, "a number, a name or an operator", '"\'"'),
    ("exit(1) < result", 1, "result or one of abs, all, any, default, isInf, isNaN, len, max, min", "'exit'"),
    ("result.real < 1", 7, "a number, a name or an operator", "'.'"),
    ("result[0] < 1e999", 13, "a number up to 1.8e+308", "'1e999'"),
    ("true", 1, "result or one of abs, all, any, default, isInf, isNaN, len, max, min", "'true'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "position", "expected", "found"), NONE)
def test_what_is_no_condition_says_where_and_what_was_expected(text, position, expected, found):
    with pytest.raises(ConditionError) as caught:
        parse(text)

    error = caught.value
    assert (error.position, error.expected, error.found) == (position, expected, found)
    assert str(error) == f"at character {position} expected {expected}, found {found}"


def test_a_violation_names_the_field_and_the_rule():
    assert list(condition_violations("gates.0.success_condition", "result[0] <")) == [
        Violation(
            "gates.0.success_condition",
            "must be a condition such as result[0] < 0.05: at character 12 expected a number or "
            "result, found the end",
        )
    ]
    assert not list(condition_violations("gates.0.success_condition", "result[0] < 0.05"))


def test_a_long_name_is_not_repeated_in_full():
    with pytest.raises(ConditionError) as caught:
        parse("x" * LONGEST)

    assert len(str(caught.value)) < 200


FULL = "result" + " " * (LONGEST - len("result<1")) + "<1"


@pytest.mark.parametrize(
    ("most", "more", "expected"),
    [
        (FULL, f"{FULL} ", f"the end after {LONGEST} characters"),
        (
            "(" * DEEPEST + "result<1" + ")" * DEEPEST,
            "(" * (DEEPEST + 1) + "result<1" + ")" * (DEEPEST + 1),
            f"at most {DEEPEST} levels of nesting",
        ),
        (
            "-" * DEEPEST + "result<1",
            "-" * (DEEPEST + 1) + "result<1",
            f"at most {DEEPEST} levels of nesting",
        ),
        (
            "1 > result" + " + 1" * (MOST_NODES // 2 - 2),
            "1 > -result" + " + 1" * (MOST_NODES // 2 - 1),
            f"at most {MOST_NODES} parts",
        ),
    ],
    ids=["length", "parentheses", "signs", "parts"],
)
def test_a_condition_is_bounded(most, more, expected):
    parse(most)
    with pytest.raises(ConditionError) as caught:
        parse(more)

    assert caught.value.expected == expected


@pytest.mark.parametrize(
    "sign", ["(", "!", "-", "all(result,{", "abs(", "max(1,", "result[", "not "]
)
def test_no_text_is_too_deep_to_be_refused(sign):
    with pytest.raises(ConditionError):
        parse((sign * LONGEST)[:LONGEST])


@settings(unhurried, max_examples=300)
@given(trees)
def test_what_is_printed_is_read_as_the_same_tree(tree):
    assert parse(printed(tree)) == tree


# What conditions are made of, in no order, comes closer to one than letters do.
WORDS = [
    "result", "result[0]", "[", "0", "]", "len", "all", "any", "min", "max", "abs", "default", "isNaN",
    "isInf", "(", ")", "{", "}", "#", ",", "<", "<=", "==", "&&", "||", "!", "not", "and", "or", "+",
    "-", "*", "/", "1", "1e400", ".5", " ", "(result)", "{# < 1}", "result < 1", "é", "\0",
]  # fmt: skip


def _read(text):
    try:
        return parse(text)
    except ConditionError as error:
        return error


def _is_condition_or_refused(text):
    read = _read(text)
    if isinstance(read, ConditionError):
        assert 1 <= read.position <= min(len(text), LONGEST) + 1
        assert read.expected
        assert read.found
    else:
        assert len(text) <= LONGEST
        assert parse(printed(read)) == read


@settings(unhurried, max_examples=300)
@given(st.text(max_size=LONGEST + 10))
def test_any_text_is_a_condition_or_refused(text):
    _is_condition_or_refused(text)


@settings(unhurried, max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_any_words_are_a_condition_or_refused(text):
    _is_condition_or_refused(text)


@settings(unhurried, max_examples=500)
@given(
    trees.map(printed),
    st.integers(0, 200),
    st.integers(0, 3),
    st.sampled_from(WORDS) | st.text("<>=!&|()# 0", max_size=3),
)
def test_a_condition_with_a_change_is_a_condition_or_refused(text, at, cut, put):
    at %= len(text) + 1
    _is_condition_or_refused(text[:at] + put + text[at + cut :])
