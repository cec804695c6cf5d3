"""The rules of a trial as a person writes it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import InvalidSpec
from domain.trial import (
    Direction,
    Reward,
    RewardCounters,
    RewardMetric,
    ThompsonRules,
    TrialRules,
    require_trial,
    trial_violations,
)

SUCCESS = Reward(metric=RewardMetric.SUCCESS_RATE)
FAST = Reward(metric=RewardMetric.FAST_RATE, slow_over_ms=250.0)
SOLD = RewardCounters(tries="shop_offers_total", won="shop_orders_total", label="served_by")
CONVERSION = Reward(metric=RewardMetric.CONVERSION, counters=SOLD)
RULES, ALLOCATION = TrialRules(), ThompsonRules()


def fields(*, arms=("stable", "b"), reward=SUCCESS, rules=RULES, allocation=None):
    return [each.field for each in trial_violations(arms, reward, rules, allocation)]


@pytest.mark.parametrize(
    "reward", [SUCCESS, FAST, CONVERSION, replace(CONVERSION, direction=Direction.LOWER)]
)
def test_a_plain_trial_breaks_no_rule(reward):
    assert (
        fields(reward=reward, rules=TrialRules(equivalence_margin=0.005), allocation=ALLOCATION)
        == []
    )


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"arms": ("stable",)}, "arms"),
        ({"arms": tuple("abcdefghijk")}, "arms"),
        ({"arms": ("a", "b", "a")}, "arms.2"),
        ({"reward": replace(FAST, slow_over_ms=None)}, "reward.slow_over_ms"),
        ({"reward": replace(FAST, slow_over_ms=240.0)}, "reward.slow_over_ms"),
        ({"reward": replace(SUCCESS, slow_over_ms=250.0)}, "reward.slow_over_ms"),
        ({"reward": replace(SUCCESS, direction=Direction.LOWER)}, "reward.direction"),
        ({"reward": replace(FAST, direction=Direction.LOWER)}, "reward.direction"),
        ({"rules": TrialRules(alpha=0.0)}, "rules.alpha"),
        ({"rules": TrialRules(alpha=0.6)}, "rules.alpha"),
        ({"rules": TrialRules(equivalence_margin=0.0)}, "rules.equivalence_margin"),
        ({"rules": TrialRules(equivalence_margin=1.0)}, "rules.equivalence_margin"),
        ({"allocation": replace(ALLOCATION, floor=0)}, "allocation.floor"),
        ({"allocation": replace(ALLOCATION, floor=50)}, "allocation.floor"),
        ({"allocation": replace(ALLOCATION, step_limit=0)}, "allocation.step_limit"),
        ({"allocation": replace(ALLOCATION, update_rewards=0)}, "allocation.update_rewards"),
        ({"allocation": replace(ALLOCATION, discount=0.0)}, "allocation.discount"),
        ({"allocation": replace(ALLOCATION, discount=1.1)}, "allocation.discount"),
        ({"allocation": replace(ALLOCATION, warm_up=timedelta(-1))}, "allocation.warm_up_seconds"),
        ({"allocation": replace(ALLOCATION, update_every=timedelta(0))}, "allocation.update_every_seconds"),
        ({"allocation": replace(ALLOCATION, period=timedelta(0))}, "allocation.period_seconds"),
    ],
)  # fmt: skip
def test_each_broken_rule_names_its_field(asked, field):
    assert fields(**asked) == [field]


def test_all_broken_rules_are_told_at_once():
    with pytest.raises(InvalidSpec, match="arms") as caught:
        require_trial(("a",), replace(SUCCESS, slow_over_ms=1.0), TrialRules(alpha=2))
    assert len(caught.value.violations) == 3
    require_trial(("a", "b"), SUCCESS, RULES, ALLOCATION)
