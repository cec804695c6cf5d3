"""When two answers agree, and how it is told where they do not."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.comparison import By, Reply, Silence, Similarity
from domain.leaves import DEEPEST, leaves
from domain.likeness import difference, likeness, measure
from tests.comparisons import a_comparison, a_reply
from tests.domain.evidence.scenes import unhurried

TEXT: dict[str, Any] = {"by": By.SIMILARITY, "similarity": Similarity.TEXT, "threshold": 0.9}
WORDS: dict[str, Any] = {"by": By.SIMILARITY, "similarity": Similarity.WORDS, "threshold": 0.9}
NUMBERS: dict[str, Any] = {"by": By.SIMILARITY, "similarity": Similarity.NUMBERS, "tolerance": 0.01}
LENGTH: dict[str, Any] = {"by": By.LENGTH, "threshold": 0.9}
EXACT, STATUS = {"by": By.EXACT}, {"by": By.STATUS}
EVERY: list[dict[str, Any]] = [STATUS, LENGTH, EXACT, TEXT, WORDS, NUMBERS]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
ANSWERS = JSON.map(json.dumps) | st.text(max_size=30)


def compared(stable, shadow, **how):
    return difference(a_comparison(**how), a_reply(stable), a_reply(shadow))


@pytest.mark.parametrize("how", EVERY)
@settings(unhurried, max_examples=60)
@given(answer=ANSWERS)
def test_an_answer_agrees_with_itself(how, answer):
    assert compared(answer, answer, **how) == ""


@pytest.mark.parametrize("how", EVERY)
@settings(unhurried, max_examples=60)
@given(one=ANSWERS, other=ANSWERS)
def test_whether_two_agree_does_not_depend_on_who_is_stable(how, one, other):
    assert (compared(one, other, **how) == "") == (compared(other, one, **how) == "")


@settings(unhurried, max_examples=60)
@given(one=ANSWERS, other=ANSWERS)
def test_what_agrees_exactly_agrees_by_every_rule(one, other):
    if compared(one, other, **EXACT) == "" and _same_spelling(one, other):
        assert [compared(one, other, **how) for how in EVERY] == [""] * len(EVERY)


def _same_spelling(one, other):
    """1 is 1.0 exactly, but they are texts of their own."""
    return [str(leaf.value) for leaf in leaves(one)] == [str(leaf.value) for leaf in leaves(other)]


@settings(unhurried, max_examples=60)
@given(one=st.lists(st.text(max_size=2)), other=st.lists(st.text(max_size=2)))
def test_likeness_lies_between_nothing_and_all(one, other):
    assert 0 <= likeness(one, other) == likeness(other, one) <= 1
    assert likeness(one, one) == 1


@settings(unhurried, max_examples=60)
@given(answer=JSON)
def test_the_order_of_fields_means_nothing(answer):
    turned = json.dumps(_turned(answer))
    assert compared(json.dumps(answer), turned, **EXACT) == ""


def _turned(value):
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("how", "stable", "shadow", "told"),
    [
        (EXACT, '{"a":1}', '{"a":1.0}', ""),
        (EXACT, '{"a":1}', '{"a":true}', "a is 1 and true"),
        (EXACT, '{"a":[1,2]}', '{"a":[1,3]}', "a.1 is 2 and 3"),
        (EXACT, '{"a":[1,2]}', '{"a":[1]}', "a.1 is stable's alone"),
        (EXACT, '{"a":1}', '{"a":1,"b":2}', "b is the shadow's alone"),
        (EXACT, '{"a":1,"b":2}', '{"a":1,"c":2}', "stable has b where the shadow has c"),
        (EXACT, '{"a":[]}', '{"a":{}}', "a is [] and {}"),
        (EXACT, "9007199254740993", "9007199254740992", "the answer is 9007199254740993 and"),
        (EXACT, "yes", "no", 'the answer is "yes" and "no"'),
        (EXACT, "1" * 99, "a\n" * 99, "…"),
        (NUMBERS, '{"a":"x","p":[1000]}', '{"a":"y","p":[1009]}', ""),
        (NUMBERS, '{"p":[1000]}', '{"p":[1011]}', "p.0 is 1000 and 1011"),
        (NUMBERS, '{"p":[0.001]}', '{"p":[0.009]}', ""),
        (NUMBERS, '{"p":[0.001]}', '{"p":[0.02]}', "p.0 is 0.001 and 0.02"),
        (NUMBERS, '{"p":[1,2]}', '{"p":[1]}', "p.1 is stable's alone"),
        (NUMBERS, '{"p":[1]}', '{"p":[true]}', "p.0 is stable's alone"),
        (NUMBERS, '{"p":[1]}', '{"p":[Infinity]}', "p.0 is 1 and Infinity"),
        (NUMBERS, '{"p":[1]}', f'{{"p":[1{"0" * 400}]}}', "p.0 is 1 and 1000"),
        (NUMBERS, '{"p":[NaN]}', '{"p":[NaN]}', ""),
        (LENGTH, '"123456789"', '"0123456789"', ""),
        (LENGTH, '"12345678"', '"0123456789"', "length 8 and 10"),
        (LENGTH, '{"long name":"a"}', '{"n":"b"}', ""),
        (WORDS, '"The cat sat."', '"sat the CAT"', ""),
        (WORDS, '"the cat sat"', '"the dog sat"', "the texts are alike by 0.67"),
        (TEXT, '"a small step for a man"', '"a small step for a man."', ""),
        (TEXT, '"yes"', '"no"', "the texts are alike by 0.00"),
    ],
)
def test_what_differs_is_told(how, stable, shadow, told):
    found = compared(stable, shadow, **how)
    assert told in found
    assert bool(told) == bool(found)


def test_what_is_told_is_fit_for_a_history():
    key = json.dumps("\0\ud800" + "long" * 999)
    told = compared(f"{{{key}:1}}", f"{{{key}:2}}")
    assert told.startswith("??long")
    assert len(told) == 200


@settings(unhurried, max_examples=60)
@given(one=ANSWERS, other=ANSWERS)
def test_every_difference_is_readable_and_short(one, other):
    for how in EVERY:
        told = compared(one, other, **how)
        assert not told or (told.isprintable() and len(told) <= 200)


def test_ignored_fields_are_named_by_dots_wherever_lists_stand_between():
    how = {"ignore": ("id", "choices.message.id")}
    stable = '{"id":1,"choices":[{"message":{"id":1,"text":"a"}}]}'
    shadow = '{"choices":[{"message":{"id":2,"text":"a"}}]}'
    assert compared(stable, shadow, **how) == ""
    assert compared(stable, shadow, ignore=("id",)) == "choices.0.message.id is 1 and 2"


@pytest.mark.parametrize("how", EVERY)
def test_another_status_differs_by_every_rule(how):
    told = difference(a_comparison(**how), a_reply("1"), a_reply("1", status=500))
    assert told == "status 200 and 500"


@pytest.mark.parametrize("how", EVERY)
def test_a_shadow_that_fails_over_a_request_differs(how):
    told = difference(a_comparison(**how), a_reply("1"), Silence(why="did not answer within 1 s"))
    assert told == "the shadow did not answer within 1 s"


@pytest.mark.parametrize("how", EVERY)
@pytest.mark.parametrize(
    ("stable", "told"),
    [
        (Silence(why="broke off"), "stable broke off"),
        (Reply(status=503, text="1"), "stable answered with status 503"),
        (Reply(status=429, text="1"), "stable answered with status 429"),
    ],
)
def test_a_stable_that_cannot_answer_is_no_measure(how, stable, told):
    assert measure(a_comparison(**how), stable) == told


@pytest.mark.parametrize("how", EVERY)
def test_a_refusal_is_a_measure_for_statuses_only(how):
    refusal = a_reply("1", status=400)
    found = measure(a_comparison(**how), refusal)
    assert found == (refusal if how is STATUS else "stable answered with status 400")


def test_without_numbers_there_is_nothing_to_agree_on_by_numbers():
    assert measure(a_comparison(**NUMBERS), a_reply('"1"')) == "stable answered without a number"


@pytest.mark.parametrize("depth", [DEEPEST + 2, 100_000])
def test_an_answer_nested_too_deeply_is_one_text(depth):
    text = "[" * depth + "]" * depth
    assert [leaf.value for leaf in leaves(text)] == [text]
