"""What a person asks of a trial: which fraction of requests is the reward, and when it is decided.

A trial compares arms (the variants of an A/B/n test) by one reward. Gates still guard each arm on
its own; what is here only decides between arms that are all acceptable.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from domain.errors import InvalidSpec, Violation
from domain.gates import ENVOY_BOUNDS_MS, Source
from domain.traffic import FULL, HeaderMatch

MOST_ARMS = 10
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")


class RewardMetric(StrEnum):
    """What is rewarded. All are fractions: so many of so many.

    SUCCESS_RATE: answers without an error. FAST_RATE: answers within `slow_over_ms`. CONVERSION:
    whatever two counters of an arm say, one of tries and one of those that came off.
    """

    SUCCESS_RATE = "success_rate"
    FAST_RATE = "fast_rate"
    CONVERSION = "conversion"


class Direction(StrEnum):
    """Which way the fraction is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardCounters:
    """Two counters of whoever uses the answers: of tries, and of those that came off.

    The label's value is the name of the InferenceService that gave the answer, so that no two
    versions, services or projects meet.
    """

    tries: str
    won: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The one fraction that arms are compared by.

    `slow_over_ms` belongs to FAST_RATE, `counters` to CONVERSION.
    """

    metric: RewardMetric
    direction: Direction = Direction.HIGHER
    source: Source = Source.ENVOY
    slow_over_ms: float | None = None
    counters: RewardCounters | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRules:
    """When a trial is decided.

    `alpha` bounds the chance that the best arm is eliminated or another one wins, over the whole
    trial and all arms, however often one looks; and, on its own, the chance that arms are called
    equivalent which differ by `equivalence_margin` or more. The margin is a difference between
    fractions (0.005: half a percentage point); None: arms are never called equivalent.

    `checks_split` holds the decision while requests do not arrive as weighted. It is to be False
    where clients choose their arm by a header that they bring: then no share can be expected.
    """

    alpha: float = 0.05
    equivalence_margin: float | None = None
    checks_split: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ThompsonRules:
    """How weights follow the reward. Weights are whole percent.

    Each arm keeps `floor`, so that there is always something to learn it from, and no weight moves
    more than `step_limit` points at once. For `warm_up` all are equal; then an update is due after
    `update_every`, or sooner once each arm has had `update_rewards` requests that could be
    rewarded, but never before the weights have stood for a quarter of the trial's age. What is
    `period` older counts `discount` as much.
    """

    floor: int = 5
    step_limit: int = 10
    warm_up: timedelta = timedelta(minutes=30)
    update_every: timedelta = timedelta(minutes=10)
    update_rewards: int = 500
    period: timedelta = timedelta(minutes=10)
    discount: float = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A trial as a plan pins it. `arms` are variants by name, in an order that stays: stable first.

    Requests find their arm by weight; where there is a `sticky_header`, by the hash of the user
    that it holds; where an arm has `matches`, by headers that clients bring. `phi` >= 1 is how much
    more the outcomes scatter than independent ones.
    """

    arms: tuple[str, ...]
    reward: Reward
    rules: TrialRules
    allocation: ThompsonRules | None = None
    sticky_header: str = ""
    matches: Mapping[str, tuple[HeaderMatch, ...]] = field(default_factory=dict)
    phi: float = 1.0


def require_trial(
    arms: Sequence[str],
    reward: Reward,
    rules: TrialRules,
    allocation: ThompsonRules | None = None,
) -> None:
    """Raise InvalidSpec with every rule that the trial breaks."""
    violations = tuple(trial_violations(arms, reward, rules, allocation))
    if violations:
        raise InvalidSpec(*violations)


def trial_violations(
    arms: Sequence[str],
    reward: Reward,
    rules: TrialRules,
    allocation: ThompsonRules | None = None,
) -> Iterator[Violation]:
    """Every rule that the trial breaks; `allocation` is None where weights are fixed."""
    yield from _arm_violations(arms)
    yield from _reward_violations(reward)
    if not 0 < rules.alpha <= 0.5:  # noqa: PLR2004 - a coin toss is no proof
        yield Violation("rules.alpha", "must lie above 0 and be at most 0.5")
    margin = rules.equivalence_margin
    if margin is not None and not 0 < margin < 1:
        yield Violation("rules.equivalence_margin", "must be a fraction between 0 and 1")
    if allocation is not None:
        yield from _allocation_violations(allocation, len(arms))


def _arm_violations(arms: Sequence[str]) -> Iterator[Violation]:
    if not 2 <= len(arms) <= MOST_ARMS:  # noqa: PLR2004 - one arm has nothing to compare with
        yield Violation("arms", f"must be 2 to {MOST_ARMS}")
    for i, arm in enumerate(arms):
        if arms.index(arm) != i:
            yield Violation(f"arms.{i}", f"{arm[:80]!r} is another arm already")


def _reward_violations(reward: Reward) -> Iterator[Violation]:
    is_fast_rate = reward.metric is RewardMetric.FAST_RATE
    if reward.source is not Source.ENVOY:
        yield Violation("reward.source", "must be envoy: arms are compared where traffic is split")
    if is_fast_rate and reward.slow_over_ms not in ENVOY_BOUNDS_MS:
        bounds = ", ".join(f"{bound:g}" for bound in ENVOY_BOUNDS_MS)
        rule = f"must be a bound that the source counts at: {bounds}"
        yield Violation("reward.slow_over_ms", rule)
    if not is_fast_rate and reward.slow_over_ms is not None:
        yield Violation("reward.slow_over_ms", "belongs to the metric fast_rate only")
    yield from _counter_violations(reward)
    if reward.direction is Direction.LOWER and reward.metric is not RewardMetric.CONVERSION:
        yield Violation("reward.direction", f"more {reward.metric} is better: must be higher")


def _counter_violations(reward: Reward) -> Iterator[Violation]:
    is_conversion, counters = reward.metric is RewardMetric.CONVERSION, reward.counters
    if is_conversion != (counters is not None):
        rule = "are needed" if is_conversion else "belong to the metric conversion only"
        yield Violation("reward.counters", rule)
    if counters is None:
        return
    for name in ("tries", "won"):
        if not _METRIC.fullmatch(getattr(counters, name)):
            rule = "must be the name of a Prometheus metric, such as shop_orders_total"
            yield Violation(f"reward.counters.{name}", rule)
    if counters.tries == counters.won:
        yield Violation("reward.counters.won", "must be another counter than tries")
    if not _LABEL.fullmatch(counters.label) or counters.label.startswith("__"):
        yield Violation("reward.counters.label", "must be the name of a Prometheus label")


def _allocation_violations(rules: ThompsonRules, arms: int) -> Iterator[Violation]:
    if not 1 <= rules.floor * arms < FULL:
        rule = f"must be at least 1, and leave something to divide between {arms} arms"
        yield Violation("allocation.floor", rule)
    if not 1 <= rules.step_limit <= FULL:
        yield Violation("allocation.step_limit", f"must lie in 1..{FULL}")
    if rules.update_rewards < 1:
        yield Violation("allocation.update_rewards", "must be at least 1")
    if not 0 < rules.discount <= 1:
        yield Violation("allocation.discount", "must lie above 0 and be at most 1")
    if rules.warm_up < timedelta(0):
        yield Violation("allocation.warm_up_seconds", "must not be negative")
    for name in ("update_every", "period"):
        if getattr(rules, name) <= timedelta(0):
            yield Violation(f"allocation.{name}_seconds", "must be above 0")
