"""Thompson weights: when they move, how far, where to, and that they are always whole."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.allocation import next_allocation
from domain.evidence.best_arm import prob_best
from domain.evidence.strata import Stratum, balanced
from domain.trial import ThompsonRules
from tests.domain.evidence.scenes import NOON, unhurried
from tests.domain.evidence.trials import ARMS, CONVERSION, FEWER, drawn, even, life, seen

RULES = ThompsonRules()
EQUAL = even(ARMS)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def after(minutes, intervals, *, present=ARMS, reward=CONVERSION, rules=RULES):
    return next_allocation(intervals, present, reward, rules, NOON + minutes * MINUTE)


def minutes(count, counts, *, weights=EQUAL, first=0):
    """Intervals of a minute each."""
    return [seen(first + i, counts, weights=weights) for i in range(count)]


B_LEADS = {"a": (1000, 50), "b": (1000, 80), "c": (1000, 50)}


# When


def test_weights_stay_equal_while_it_warms_up():
    assert after(29, minutes(29, B_LEADS)) is None
    assert after(30, minutes(30, B_LEADS)) is not None


def test_the_warm_up_makes_unequal_weights_equal():
    assert after(5, minutes(5, B_LEADS, weights={"a": 80, "b": 10, "c": 10})) == EQUAL


def test_an_update_is_due_after_its_time_or_its_rewards():
    few, seldom = {"a": (10, 1), "b": (10, 9), "c": (10, 1)}, ThompsonRules(update_every=HOUR / 2)
    first = minutes(40, few)
    moved = after(40, first)
    assert moved is not None
    later = [*first, *minutes(29, few, weights=moved, first=40)]
    assert after(69, later, rules=seldom) is None
    assert after(70, later, rules=seldom) is not None
    many = {"a": (500, 50), "b": (500, 450), "c": (500, 50)}
    soon = [*first, *minutes(13, few, weights=moved, first=40)]
    shown = [*soon, *minutes(1, many, weights=moved, first=53)]
    assert after(54, shown, rules=seldom) is not None
    short = many | {"c": (369, 50)}
    almost = [*soon, *minutes(1, short, weights=moved, first=53)]
    assert after(54, almost, rules=seldom) is None


def test_weights_stand_for_a_quarter_of_the_trial_however_much_they_show():
    first = minutes(40, B_LEADS)
    moved = after(40, first)
    assert moved is not None
    shown = [*first, *minutes(14, B_LEADS, weights=moved, first=40)]
    assert after(53, shown) is None
    assert after(54, shown) is not None


def test_without_intervals_or_arms_there_is_nothing_to_do():
    assert after(60, []) is None
    assert after(60, minutes(40, B_LEADS), present=()) is None


# How far and where to


def test_no_weight_moves_more_than_the_step_limit():
    assert after(40, minutes(40, B_LEADS)) == {"a": 29, "b": 43, "c": 28}


def test_steps_lead_to_the_best_arm_and_leave_the_floor():
    intervals, weights = minutes(30, B_LEADS), EQUAL
    seen_weights = [weights]
    for now, until in pairwise((30, 40, 54, 72, 96, 128, 171, 228, 304)):
        weights = after(now, intervals) or weights
        seen_weights.append(weights)
        intervals += minutes(until - now, B_LEADS, weights=weights, first=now)
    assert weights == {"a": 5, "b": 90, "c": 5}
    for before, behind in pairwise(seen_weights):
        assert max(abs(behind[arm] - before[arm]) for arm in ARMS) <= 10


def test_the_target_is_the_floor_and_a_share_by_the_chance_of_being_best():
    counts = {"a": (1000, 50), "b": (1000, 55), "c": (1000, 52)}
    free = ThompsonRules(step_limit=100)
    found = after(30, minutes(10, counts), rules=free)
    chances = prob_best([500, 550, 520], [10_000] * 3)
    assert found is not None
    assert list(found.values()) == pytest.approx([5 + 85 * chance for chance in chances], abs=1)


def test_where_fewer_is_better_the_lowest_arm_grows():
    found = after(
        30, minutes(30, {"a": (1000, 80), "b": (1000, 50), "c": (1000, 80)}), reward=FEWER
    )
    assert found is not None
    assert found["b"] > EQUAL["b"]


def test_old_periods_fade():
    # b led for ten hours, c leads since five; by plain counts b still leads.
    free = ThompsonRules(step_limit=100)
    then = minutes(600, {"a": (10, 1), "b": (100, 10), "c": (100, 8)})
    now = minutes(300, {"a": (10, 1), "b": (100, 9), "c": (100, 12)}, first=600)
    fading = after(900, [*then, *now], rules=free)
    lasting = after(900, [*then, *now], rules=ThompsonRules(step_limit=100, discount=1.0))
    assert fading is not None
    assert lasting is not None
    assert fading["c"] > lasting["c"]


def test_a_good_hour_does_not_flatter_the_arm_that_had_its_traffic():
    night = minutes(30, {"a": (900, 45), "b": (100, 5)}, weights={"a": 90, "b": 10})
    day = minutes(30, {"a": (100, 20), "b": (900, 180)}, weights={"a": 10, "b": 90}, first=30)
    found = after(60, [*night, *day], present=("a", "b"), rules=ThompsonRules(step_limit=100))
    assert found == {"a": 50, "b": 50}


def test_arms_that_nothing_compares_are_alike():
    free = ThompsonRules(step_limit=100)
    a_only, b_only = {"a": (100, 5), "b": (0, 0)}, {"a": (0, 0), "b": (100, 90)}
    lonely = [*minutes(10, a_only), *minutes(10, b_only, first=10)]
    assert after(60, lonely, present=("a", "b"), rules=free) == {"a": 50, "b": 50}


def test_an_arm_without_data_keeps_the_floor():
    free = ThompsonRules(step_limit=100)
    silent = minutes(30, {"a": (1000, 50), "b": (1000, 50), "c": (0, 0)})
    assert after(30, silent, rules=free) == {"a": 48, "b": 47, "c": 5}


# Who has left


def test_who_has_left_holds_nothing_and_the_others_share_it_at_once():
    held = {"a": 20, "b": 60, "c": 20}
    intervals = [
        *minutes(40, B_LEADS),
        seen(40, {"a": (10, 1), "b": (10, 1), "c": (10, 1)}, weights=held),
    ]
    assert after(41, intervals, present=("a", "b")) == {"a": 25, "b": 75, "c": 0}
    assert after(41, intervals, present=("b",)) == {"a": 0, "b": 100, "c": 0}


def test_in_the_warm_up_those_that_remain_are_equal():
    assert after(5, minutes(5, B_LEADS), present=("a", "c")) == {"a": 50, "b": 0, "c": 50}


def test_the_last_arm_has_everything_and_stays_so():
    alone = [*minutes(40, B_LEADS), seen(40, {"b": (1000, 80)}, weights={"b": 100})]
    assert after(90, alone, present=("b",)) is None


# Always


fractions = st.fixed_dictionaries({arm: st.floats(0.01, 0.99) for arm in ARMS})


@settings(unhurried, max_examples=30)
@given(
    fractions=fractions,
    start=st.permutations([10, 25, 65]),
    present=st.sets(st.sampled_from(ARMS), min_size=1),
    seed=st.integers(0, 1000),
    at=st.integers(0, 120),
)
def test_weights_are_whole_sum_to_100_and_can_be_computed_again(
    fractions, start, present, seed, at
):
    rng, weights = np.random.default_rng(seed), dict(zip(ARMS, start, strict=True))
    intervals = [drawn(rng, i, fractions, weights=weights, requests=60) for i in range(35)]
    there = tuple(arm for arm in ARMS if arm in present)
    found = after(at, intervals, present=there)
    assert found == after(at, intervals, present=there)
    if found is None:
        assert set(there) == set(ARMS)
        return
    assert sum(found.values()) == 100
    assert all(isinstance(weight, int) for weight in found.values())
    for arm in ARMS:
        assert found[arm] >= (5 if arm in there else 0)
        assert arm in there or found[arm] == 0
    if at >= 30 and len(there) == len(ARMS):
        assert max(abs(found[arm] - weights[arm]) for arm in ARMS) <= 10


@settings(unhurried, max_examples=30)
@given(fractions=fractions, order=st.permutations(ARMS))
def test_the_order_of_the_arms_decides_ties_only(fractions, order):
    intervals = life(fractions, 30)
    straight, turned = after(40, intervals), after(40, intervals, present=tuple(order))
    for arm in ARMS:
        assert abs((straight or EQUAL)[arm] - (turned or EQUAL)[arm]) <= 1


# Strata


def test_one_stratum_is_its_own_counts():
    stratum = Stratum(totals={"a": 40, "b": 70}, wins={"a": 4, "b": 9})
    wins, totals = balanced([stratum], [7.0], ("a", "b")) or ([], [])
    assert wins == pytest.approx([4, 9])
    assert totals == pytest.approx([40, 70])


def test_strata_count_alike_for_every_arm_and_are_worth_what_the_smallest_allow():
    strata = [
        Stratum(totals={"a": 100, "b": 100}, wins={"a": 10, "b": 10}),
        Stratum(totals={"a": 100, "b": 10}, wins={"a": 30, "b": 3}),
        Stratum(totals={"a": 0, "b": 10}, wins={"a": 0, "b": 9}),
    ]
    found = balanced(strata, [1.0, 1.0, 5.0], ("a", "b"))
    assert found is not None
    (wins, totals) = found
    assert [x / n for x, n in zip(wins, totals, strict=True)] == pytest.approx([0.2, 0.2])
    assert totals == pytest.approx([200, 1 / (0.25 / 100 + 0.25 / 10)])
