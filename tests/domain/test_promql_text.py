"""A value in a query means itself, whatever it is made of."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.promql_text import QueryTextError, Value, filled_in, placeholders

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("query", "filled"),
    [
        ('up{job="{{job}}"}', 'up{job="a\\"b.c"}'),
        ("up{job='{{ job }}'}", "up{job='a\"b.c'}"),
        ("up{job=`{{job}}`}", 'up{job=`a"b.c`}'),
        ('up{job=~"{{job}}-.*"}', 'up{job=~"a\\"b\\\\.c-.*"}'),
        ("up{job !~ `{{job}}`}", 'up{job !~ `a"b\\.c`}'),
        ("rate(x[{{window}}]) > {{limit}}", "rate(x[5m]) > 0.5"),
        ("up # {{job}} and {{nobody}}\n + 1", "up # {{job}} and {{nobody}}\n + 1"),
        ('up{a="\\"{{job}}", b="#"} + {{count}}', 'up{a="\\"a\\"b.c", b="#"} + 3'),
        ('sum(up{a="{{1}}"}) by (b)', 'sum(up{a="{{1}}"}) by (b)'),
        ('up{a="{{yes}}"}', 'up{a="true"}'),
        ('up{a="C:\\\\{{yes}}"}', 'up{a="C:\\\\true"}'),
        ("up{a=`C:\\{{yes}}`}", "up{a=`C:\\true`}"),
        ('up{a=~"\\\\\\\\{{job}}"}', 'up{a=~"\\\\\\\\a\\"b\\\\.c"}'),
        ('up{a=~ # it is\n"{{job}}"}', 'up{a=~ # it is\n"a\\"b\\\\.c"}'),
        ("up # {{nobody}}\r > {{limit}}", "up # {{nobody}}\r > 0.5"),
    ],
)
def test_placeholders_are_filled_in_as_their_place_asks_for(query, filled):
    values: dict[str, Value] = {
        "job": 'a"b.c',
        "window": "5m",
        "limit": 0.5,
        "count": 3,
        "yes": True,
    }

    assert filled_in(query, values) == filled


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("{{job}}", r"has \{\{job\}\} outside of quotes"),
        ("up > {{nan}}", r"has \{\{nan\}\} outside of quotes"),
        ("up > {{yes}}", r"has \{\{yes\}\} outside of quotes"),
        ("up{a='{{nobody}}'}", r"names \{\{nobody\}\}, which is not known here; known: job, "),
        ("up{a=`{{tick}}`}", "which has a backtick"),
        ('up{a="{{job}}}', "unclosed"),
        ('up{a="\n"}', "unclosed"),
        ('up{a="\\{{job}}"}', "has a backslash before {{job}}"),
        ("up{a='\\\\\\{{job}}'}", "has a backslash before {{job}}"),
        ('up{a=~"\\\\{{job}}"}', "has a backslash before {{job}}"),
        ("up{a=~`\\{{job}}`}", "has a backslash before {{job}}"),
    ],
)
def test_what_cannot_be_filled_in_says_why(query, rule):
    values: dict[str, Value] = {"job": "a or b", "nan": float("nan"), "tick": "`", "yes": True}

    with pytest.raises(QueryTextError, match=rule):
        filled_in(query, values)


def test_what_is_filled_in_later_stays():
    query = 'x{a="{{candidate}}"} > {{limit}}'

    assert filled_in(query, {"limit": 2}, later={"candidate"}) == 'x{a="{{candidate}}"} > 2'


def test_a_query_says_which_values_it_asks_for():
    query = 'x{a="{{b.c}}", d=~"{{e}}"} > {{ b.c }} # {{f}}'

    assert placeholders(query) == ("b.c", "e")


@given(texts)
def test_a_value_between_quotes_is_that_value_and_ends_nothing(value):
    filled = filled_in('{a="{{v}}"}', {"v": value})

    literal, rest = json.JSONDecoder(strict=False).raw_decode(filled[3:])
    assert (literal, rest) == (value, len(filled) - 4)


@given(texts)
def test_a_value_between_single_quotes_is_that_value_and_ends_nothing(value):
    filled = filled_in("{a='{{v}}'}", {"v": value})

    turned = filled[4:-2].replace('"', '\\"').replace("\\'", "'")
    assert json.loads(f'"{turned}"', strict=False) == value
    assert re.fullmatch(r"(?:[^'\\]|\\.)*", filled[4:-2], re.DOTALL)


@given(texts)
def test_a_value_in_a_pattern_matches_itself_only(value):
    filled = filled_in('{a=~"{{v}}"}', {"v": value})

    pattern = json.loads(filled[4:-1], strict=False)
    assert re.fullmatch(pattern, value)
    assert not re.fullmatch(pattern, value + "x")


@given(st.text(alphabet="ab\"'`#{}\\\n =~0", max_size=30))
def test_any_text_is_filled_in_or_refused(query):
    try:
        filled = filled_in(query, {})
    except QueryTextError:
        return
    assert filled == query
