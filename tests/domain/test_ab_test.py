"""A/B/n: from the spec to the plan, and the traffic that it states."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import arm_traffic
from domain.errors import InvalidSpec
from domain.gates import Source
from domain.plan import Plan
from domain.steps import (
    ArmShares,
    Conclude,
    Deploy,
    Promote,
    Reaction,
    Retire,
    SetWeights,
    Soak,
    Until,
)
from domain.strategies.ab_test import STICKY_OVERDISPERSION, OnWinner, compile_ab_test
from domain.traffic import NO_EXTRAS, HeaderMatch, Place, PlaceKind
from domain.trial import (
    Direction,
    Reward,
    RewardCounters,
    RewardMetric,
    ThompsonRules,
    Trial,
    TrialRules,
)
from tests.plans import ERRORS, ab_test, ab_test_spec, arms

HEADER = "x-user-hash"
BETA = (HeaderMatch(name="x-group", value="beta"),)
GAMMA = (HeaderMatch(name="x-group", value="gamma"),)


def opened(made: Plan) -> tuple[Trial, ArmShares]:
    """The trial of a plan, and the traffic that it begins with."""
    arms = made.traffic_at(1).arms
    assert made.trial is not None
    assert arms is not None
    return made.trial, arms


def weights_of(plan):
    return plan.weights_under(plan.traffic_at(1))


def broken(**changes):
    names = changes.pop("names", ("b", "c"))
    with pytest.raises(InvalidSpec) as refused:
        compile_ab_test(ab_test_spec(**changes), arms(*names))
    return {violation.field: violation.rule for violation in refused.value.violations}


def test_all_arms_get_the_same_unless_told_otherwise():
    assert weights_of(ab_test()) == {"stable": 34, "b": 33, "c": 33}
    assert weights_of(ab_test("b")) == {"stable": 50, "b": 50}
    assert weights_of(ab_test(weights={"b": 10, "c": 5})) == {"stable": 85, "b": 10, "c": 5}


def test_a_winner_is_promoted_or_asked_about_or_only_told():
    promotes = [Deploy, SetWeights, Soak, SetWeights, Promote, Retire, Conclude]
    assert [type(step) for step in ab_test().steps] == promotes
    asks = ab_test(on_winner=OnWinner.ASK).steps
    assert [step.until for step in asks if isinstance(step, Soak)] == [
        Until.DECIDED,
        Until.PROMOTED,
    ]
    keeps = ab_test(on_winner=OnWinner.KEEP)
    assert [type(step) for step in keeps.steps] == [Deploy, SetWeights, Soak, Conclude]
    assert keeps.full_step is None


def test_each_arm_has_its_slot_and_is_counted_there():
    made = ab_test()
    slots = made.slots_under(made.traffic_at(1))
    assert [slot.weight for slot in slots] == [34, 33, 33]
    assert [made.places_of(one) for one in made.challengers] == [
        (Place(position=1),),
        (Place(position=2),),
    ]
    assert made.extras_of(made.traffic_at(1)) == NO_EXTRAS


def test_requests_with_a_match_reach_their_arm_and_all_others_stable():
    made = ab_test(matched={"b": BETA, "c": GAMMA})
    assert weights_of(made) == {"stable": 100, "b": 0, "c": 0}
    routes = made.extras_of(made.traffic_at(1)).header_routes
    assert [(route.headers, route.workload) for route in routes] == [
        (BETA, "chat-v2"),
        (GAMMA, "chat-v3"),
    ]
    assert made.places_of(made.others[0])[1] == Place(position=1, kind=PlaceKind.HEADER_ROUTE)
    assert [one.name for one in made.reached_under(made.traffic_at(1))] == ["stable", "b", "c"]


def test_the_way_to_all_traffic_needs_no_header():
    made = ab_test(matched={"b": BETA, "c": GAMMA})
    assert made.full_step is not None
    assert made.extras_of(made.traffic_at(made.full_step)) == NO_EXTRAS


def owners(plan, traffic):
    """Which workload answers a user of each hash."""
    routes = plan.extras_of(traffic).header_routes
    return [
        next(r.workload for r in routes if re.fullmatch(r.headers[0].value, f"abc{bucket:02x}"))
        for bucket in range(256)
    ]


def test_users_stay_with_an_arm_by_their_hash():
    made = ab_test(sticky_header=HEADER)
    held = owners(made, made.traffic_at(1))
    assert {name: held.count(name) for name in set(held)} == {
        "chat-v1": 87,
        "chat-v2": 85,
        "chat-v3": 84,
    }
    trial, _ = opened(made)
    assert made.places_of(made.stable)[1] == Place(position=0, kind=PlaceKind.HEADER_ROUTE)
    assert trial.phi == STICKY_OVERDISPERSION
    assert not trial.rules.checks_split


@pytest.mark.parametrize(
    "changes", [{"sticky_header": HEADER}, {"matched": {"b": BETA, "c": GAMMA}}]
)
def test_an_arm_that_leaves_gives_its_users_to_stable_and_no_route_moves(changes):
    made = ab_test(**changes)
    before, (trial, arms) = made.traffic_at(1), opened(made)
    after = arm_traffic.without(trial, arms, ["b"])
    routes = made.extras_of(before).header_routes, made.extras_of(after).header_routes
    assert [route.name for route in routes[0]] == [route.name for route in routes[1]]
    assert "chat-v2" not in {route.workload for route in routes[1]}
    assert made.weights_under(after)["b"] == 0
    assert sum(made.weights_under(after).values()) == 100


def test_users_of_those_who_stay_are_left_where_they_are():
    made = ab_test(sticky_header=HEADER)
    before, (trial, arms) = made.traffic_at(1), opened(made)
    after = arm_traffic.without(trial, arms, ["b"])
    moved = {
        was: now
        for was, now in zip(owners(made, before), owners(made, after), strict=True)
        if was != now
    }
    assert moved == {"chat-v2": "chat-v1"}


@given(st.lists(st.integers(5, 90), min_size=3, max_size=3))
def test_new_weights_move_as_few_users_as_must(parts):
    made = ab_test(sticky_header=HEADER)
    before, (trial, arms) = made.traffic_at(1), opened(made)
    whole = sum(parts)
    weights = dict(zip(trial.arms, (part * 100 // whole for part in parts), strict=True))
    weights["stable"] += 100 - sum(weights.values())
    after = arm_traffic.reallocated(trial, arms, weights)
    was, now = owners(made, before), owners(made, after)
    moved = sum(one != other for one, other in zip(was, now, strict=True))
    grown = sum(max(0, now.count(name) - was.count(name)) for name in set(was))
    assert moved == grown
    assert made.weights_under(after) == weights


def test_the_one_chosen_is_the_candidate_and_the_weights_stay_with_their_names():
    made = ab_test(weights={"b": 20, "c": 30})
    chosen = made.choosing("c")
    assert (chosen.candidate.name, [one.name for one in chosen.others]) == ("c", ["b"])
    assert chosen.weights_under(made.traffic_at(1)) == {"stable": 50, "b": 20, "c": 30}
    assert chosen.weights_under(SetWeights(candidate=100)) == {"stable": 0, "b": 0, "c": 100}
    assert made.choosing("") is made


def test_each_broken_rule_is_named_with_its_field():
    assert broken(names=("b", "b"), weights={"b": 40}).keys() >= {"ab_test.arms.1.name"}
    assert broken(weights={"b": 10}).keys() == {"ab_test.arms.1.weight"}
    assert broken(weights={"b": 0, "c": 100}).keys() == {
        "ab_test.arms.0.weight",
        "ab_test.arms.1.weight",
        "ab_test.arms",
    }
    assert broken(matched={"b": BETA}).keys() == {"ab_test.arms.1.match"}
    assert broken(matched={"b": BETA, "c": BETA})["ab_test.arms.1.match"] == "is that of b"
    assert broken(sticky_header="x_user").keys() == {"ab_test.sticky_header"}
    assert broken(matched={"b": BETA, "c": GAMMA}, sticky_header=HEADER).keys() == {
        "ab_test.sticky_header"
    }
    thompson = ThompsonRules()
    assert broken(allocation=thompson, weights={"b": 1, "c": 1}).keys() == {"ab_test.allocation"}
    assert broken(allocation=replace(thompson, floor=50)).keys() == {"ab_test.allocation.floor"}
    assert broken(rules=TrialRules(alpha=0.9)).keys() == {"ab_test.alpha"}
    lower = Reward(metric=RewardMetric.SUCCESS_RATE, direction=Direction.LOWER)
    assert broken(reward=lower).keys() == {"ab_test.reward.direction"}
    assert broken(at_most=timedelta(days=7)).keys() == {"policies.deadline_seconds"}
    assert broken(overdispersion=0.5).keys() == {"ab_test.overdispersion"}
    assert broken(at_most=timedelta(0), at_least=timedelta(1)).keys() == {"ab_test.at_most_seconds"}


def test_a_match_that_the_gateway_cannot_make_is_refused():
    odd = (HeaderMatch(name="x_odd", value="yes"),)
    assert broken(matched={"b": odd, "c": GAMMA}).keys() == {"ab_test.arms.0.name"}


def test_an_undecided_test_concludes_unless_told_otherwise():
    (soak,) = [step for step in ab_test().steps if isinstance(step, Soak)]
    assert soak.at_the_end is Reaction.ADVANCE


def test_what_a_conversion_is_must_be_told_by_two_counters():
    sold = RewardCounters(tries="offers_total", won="orders_total", label="served_by")
    reward = Reward(metric=RewardMetric.CONVERSION, direction=Direction.LOWER, counters=sold)
    assert opened(ab_test(reward=reward))[0].reward == reward
    assert broken(reward=replace(reward, counters=None)).keys() == {"ab_test.reward.counters"}
    for field, odd in (
        ("tries", 'a"} or vector(1)'),
        ("won", "offers_total"),
        ("label", "__name__"),
    ):
        counters = replace(sold, **{field: odd})
        assert broken(reward=replace(reward, counters=counters)).keys() == {
            f"ab_test.reward.counters.{field}"
        }
    success = Reward(metric=RewardMetric.SUCCESS_RATE, counters=sold)
    assert broken(reward=success).keys() == {"ab_test.reward.counters"}


def test_gates_and_reward_of_a_test_are_counted_where_traffic_is_split():
    gate = replace(ERRORS, source=Source.VLLM)
    assert "must be envoy" in broken(gates=(ERRORS, gate))["gates.1.source"]
    reward = Reward(metric=RewardMetric.SUCCESS_RATE, source=Source.GEN_AI)
    assert "must be envoy" in broken(reward=reward)["ab_test.reward.source"]
