"""What conditions say of answers; nothing that holds no number is ever taken for good or bad."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.conditions.parser import parse
from domain.conditions.tree import Link, Linked, Not
from domain.conditions.truth import Truth, holds_for_any, holds_for_every
from tests.domain.conditions.trees import ANSWERS, NOTHING_KNOWN, trees, unguarded_trees
from tests.domain.evidence.scenes import unhurried

NAN, INF = math.nan, math.inf
T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


@pytest.mark.parametrize(
    ("text", "answer", "said"),
    [
        ("result[0] >= 0.95", [0.95], T),
        ("result[0] >= 0.95", [0.94], F),
        ("result[0] > 0.95", [0.95], F),
        ("result[0] <= 1", [1.0], T),
        ("result[0] < 1", [1.0], F),
        ("result[0] == 1", [1.0], T),
        ("result[0] != 1", [1.0], F),
        ("result[0] == 0", [-0.0], T),
        ("result[0] >= 0.95", [], U),
        ("result[0] >= 0.95", [NAN], U),
        ("result[0] != 0.95", [NAN], U),
        ("result[0] >= 0.95", [INF], U),
        ("result[0] < 0.95", [-INF], U),
        ("!(result[0] < 1)", [2.0], T),
        ("!(result[0] < 1)", [NAN], U),
        ("result[0] < 1 || result[0] >= 1", [NAN], U),
        ("result[0] < 1 && result[0] > 5", [NAN], U),
        # What is known may decide alone.
        ("isNaN(result[0]) || result[0] < 1", [NAN], T),
        ("isNaN(result[0]) || result[0] < 1", [2.0], F),
        ("isNaN(result[0]) || result[0] < 1", [], U),
        ("!isNaN(result[0]) && result[0] < 1", [NAN], F),
        ("isInf(result[0])", [-INF], T),
        ("isInf(result[0])", [NAN], F),
        ("isNaN(result[0])", [INF], F),
        ("len(result) == 0 || result[0] < 1", [], T),
        ("len(result) == 0 || result[0] < 1", [NAN], U),
        ("len(result) > 0 && result[0] < 1", [], F),
        ("len(result) > 0 && default(result, 0) < 5", [], F),
        # Arithmetic.
        ("2 + 3 * result[0] == 14", [4.0], T),
        ("(2 + 3) * result[0] == 20", [4.0], T),
        ("8 / result[0] / 2 == 1", [4.0], T),
        ("8 - result[0] - 2 == 2", [4.0], T),
        ("-result[0] == -4", [4.0], T),
        ("abs(result[0]) == 4", [-4.0], T),
        ("1 / result[0] > 1", [0.0], U),
        ("result[0] / 0 > 1", [0.0], U),
        ("result[0] * 10 > 1", [1e308], U),
        ("result[0] - 1e308 < 1", [-1e308], U),
        ("1 / result[0] < 1", [INF], U),
        ("0 * result[0] == 0", [NAN], U),
        ("min(result[0], 3) == 3", [4.0], T),
        ("max(result[0], 3, 5) == 5", [4.0], T),
        ("max(result[0], 3) >= 3", [NAN], U),
        # default stands for no series, and for nothing else.
        ("default(result[0], 7) == 7", [], T),
        ("default(result[0], 7) == 4", [4.0], T),
        ("default(result[0], 7) == 7", [NAN], U),
        ("default(max(result), 7) == 7", [], T),
        ("default(len(result), 7) == 0", [], T),
        ("default(result[0] / 0, 7) == 7", [1.0], U),
        # All series at once.
        ("all(result, {# < 1})", [0.1, 0.2], T),
        ("all(result, {# < 1})", [0.1, 1.2], F),
        ("all(result, {# < 1})", [0.1, NAN], U),
        ("all(result, {# < 1})", [NAN, 1.2], F),
        ("all(result, {# < 1})", [], U),
        ("any(result, {# < 1})", [1.1, 0.2], T),
        ("any(result, {# < 1})", [1.1, NAN], U),
        ("any(result, {# < 1})", [NAN, 0.2], T),
        ("any(result, {# < 1})", [], U),
        ("!any(result, {# > 1})", [], U),
        ("all(result, {default(#, 0) < 5})", [], U),
        ("any(result, {len(result) == 0})", [], U),
        ("any(result, {isNaN(#)})", [1.0, NAN], T),
        ("all(result, {any(result, {# > 5}) || # < 2})", [1.0, 6.0], T),
        ("all(result, {# <= 2 * min(result)})", [1.0, 2.0], T),
        ("all(result, {# <= 2 * min(result)})", [1.0, 2.1], F),
        ("len(result) == 3", [1.0, NAN, 2.0], T),
        ("max(result) - min(result) == 2", [3.0, 1.0, 2.0], T),
        ("max(result) > 2", [3.0, NAN], U),
        ("max(result) > 2", [], U),
        ("min(result) < 2", [1.0, INF], U),
    ],
)
def test_what_a_condition_says(text, answer, said):
    """Of one turn, or where each turn says the same."""
    assert holds_for_every(parse(text), answer) is said
    assert holds_for_any(parse(text), answer) is said


@pytest.mark.parametrize(
    ("answer", "every", "some"),
    [
        ([0.1, 0.2], T, T),
        ([0.1, 9.0], F, T),
        ([8.0, 9.0], F, F),
        ([0.1, NAN], U, T),
        ([9.0, NAN], F, U),
        ([0.1, 9.0, NAN], F, T),
    ],
)
def test_each_series_has_its_turn(answer, every, some):
    for text in ("result[0] < 1", "len(result) > 0 && result[0] < 1"):
        assert holds_for_every(parse(text), answer) is every
        assert holds_for_any(parse(text), answer) is some


@pytest.mark.parametrize("said", [holds_for_every, holds_for_any])
@pytest.mark.parametrize("left", [(">", T), ("<", F), (None, U)])
@pytest.mark.parametrize("right", [(">", T), ("<", F), (None, U)])
def test_unknown_stays_unknown_unless_the_other_side_decides(said, left, right):
    def text(sign):
        return f"result[0] {sign} 0" if sign else "result[0] / 0 > 0"

    one, other = text(left[0]), text(right[0])
    truths = {left[1], right[1]}
    both = F if F in truths else U if U in truths else T
    either = T if T in truths else U if U in truths else F

    assert said(parse(f"{one} && {other}"), [1.0]) is both
    assert said(parse(f"{one} || {other}"), [1.0]) is either


@settings(unhurried, max_examples=400)
@given(trees, ANSWERS)
def test_asking_never_raises_and_always_says_something(tree, answer):
    every, some = holds_for_every(tree, answer), holds_for_any(tree, answer)

    assert isinstance(every, Truth)
    assert isinstance(some, Truth)
    assert not (every is T and some is not T)
    assert not (some is F and every is not F)


@settings(unhurried, max_examples=400)
@given(unguarded_trees, NOTHING_KNOWN)
def test_an_answer_without_a_number_says_nothing_unless_it_was_asked_for(tree, answer):
    assert holds_for_every(tree, answer) is U
    assert holds_for_any(tree, answer) is U


@settings(unhurried, max_examples=400)
@given(trees, ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_the_series_means_nothing(tree, answer, random):
    shuffled = random.sample(answer, len(answer))

    assert holds_for_every(tree, shuffled) is holds_for_every(tree, answer)
    assert holds_for_any(tree, shuffled) is holds_for_any(tree, answer)


@settings(unhurried, max_examples=200)
@given(trees, trees, ANSWERS)
def test_logic_is_logic(one, other, answer):
    neither = Not(Linked(Link.OR, one, other))
    both_not = Linked(Link.AND, Not(one), Not(other))

    assert holds_for_every(neither, answer) is holds_for_every(both_not, answer)
    assert holds_for_every(Not(Not(one)), answer) is holds_for_every(one, answer)
    opposite = {T: F, F: T, U: U}
    assert holds_for_every(Not(one), answer) is opposite[holds_for_any(one, answer)]


def test_many_series_cost_each_part_one_look_at_each():
    # Asked one by one, quantifiers within quantifiers would take 10,000 to the 15th looks.
    text = "# < 1"
    for _ in range(15):
        text = f"any(result, {{{text}}})"
    assert holds_for_every(parse(text), [2.0] * 10_000) is F
