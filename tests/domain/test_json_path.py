"""Paths into JSON: what they lead to, and what is a number there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_path import LONGEST_PATH, MOST_FOUND, NoNumber, PathError, parse_path

DOCUMENT = {
    "score": 0.97,
    "ok": True,
    "text": "0.5",
    "nothing": None,
    "rows": [{"v": 1, "a b": 2}, {"v": 3}, {"w": 9}],
    "deep": {"x-y": {"größe": -1}},
}


def found(path, document=None):
    return repr(parse_path(path).numbers(DOCUMENT if document is None else document))


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("$.score", "(0.97,)"),
        ("$['score']", "(0.97,)"),
        ('$["score"]', "(0.97,)"),
        ("$.ok", "(1.0,)"),
        ("$.text", "(0.5,)"),
        ("$.nothing", "(nan,)"),
        ("$.rows[0].v", "(1.0,)"),
        ("$.rows[-2].v", "(3.0,)"),
        ("$.rows[*].v", "(1.0, 3.0)"),
        ("$.rows.*.v", "(1.0, 3.0)"),
        ("$.rows[0]['a b']", "(2.0,)"),
        ("$.rows[0].*", "(1.0, 2.0)"),
        ("$.deep.x-y.größe", "(-1.0,)"),
        ("$.missing.further", "()"),
        ("$.rows[7].v", "()"),
        ("$.rows[-4].v", "()"),
        ("$.rows.v", "()"),
        ("$.score[0]", "()"),
    ],
)
def test_a_path_leads_to_numbers_or_nowhere(path, numbers):
    assert found(path) == numbers


def test_the_whole_answer_may_be_the_number():
    assert found("$", 7) == "(7.0,)"


@pytest.mark.parametrize(
    ("text", "number"), [("-1.5e3", "-1500.0"), ("NaN", "nan"), ("+Inf", "inf"), ("-Inf", "-inf")]
)
def test_texts_are_numbers_where_they_are_written_as_one(text, number):
    assert found("$", text) == f"({number},)"


@pytest.mark.parametrize("value", ["up", "", "1_0", "0x1", "01", " 1", {}, [1], 10**400])
def test_what_is_no_number_is_an_error_and_never_a_number(value):
    with pytest.raises(NoNumber):
        parse_path("$").numbers(value)


@pytest.mark.parametrize(
    ("value", "shown"), [({"a": 1}, "an object"), ([1], "a list"), ("größer", '"größer"')]
)
def test_what_is_no_number_is_told(value, shown):
    with pytest.raises(NoNumber, match=f"the path leads to {shown}, which is no number"):
        parse_path("$").numbers(value)


def test_an_answer_that_is_nested_too_deep_to_be_written_is_told_all_the_same():
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NoNumber, match="a list"):
        parse_path("$").numbers(deep)


def test_more_values_than_can_be_judged_are_an_error():
    assert len(parse_path("$[*]").numbers([1] * MOST_FOUND)) == MOST_FOUND
    with pytest.raises(NoNumber, match="1,001 values"):
        parse_path("$[*]").numbers([1] * (MOST_FOUND + 1))


@pytest.mark.parametrize(
    "path",
    [
        *("", "score", "$score", "$.", "$..v", "$[", "$[01]", "$[1:2]", "$[?@.v>1]", "$[a]"),
        *("$['']", "$['a\\'b']", "$.rows[0]v", "$ .score", "$.a b", "$.x" + "y" * LONGEST_PATH),
    ],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(PathError):
        parse_path(path)


@given(st.text("$.[]*'\"ab01-"))
def test_any_text_is_a_path_or_refused(text):
    try:
        path = parse_path(text)
    except PathError:
        return
    assert isinstance(path.find(DOCUMENT), list)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
)


@given(documents, st.sampled_from(["$", "$.a", "$[*]", "$.*.a", "$[0][*]"]))
def test_any_answer_gives_numbers_or_an_error(document, path):
    try:
        numbers = parse_path(path).numbers(json.loads(json.dumps(document)))
    except NoNumber:
        return
    assert all(isinstance(number, float) for number in numbers)
