"""What a trial has seen: the counts of one interval, for each arm that took part in it."""

from dataclasses import dataclass
from datetime import datetime

from domain.evidence.intervals import ArmsInterval, Counts
from domain.trial import Direction, Reward, RewardMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """What one arm was given and what came of it, at a weight in whole percent.

    `started` requests arrived (the split is seen in those); `total` could be rewarded, and `good`
    of them were counted by the reward's metric, whichever direction is better.
    """

    arm: str
    weight: int
    started: int
    total: int
    good: int

    def wins(self, reward: Reward) -> int:
        """How many went the way that is better."""
        good = min(max(self.good, 0), self.total)
        return good if reward.direction is Direction.HIGHER else self.total - good


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialInterval:
    """The counts between two readings, all taken while the weights had settled.

    `sequence` numbers a trial's intervals from 0. Who is missing from `arms` has
    left the trial for good; an arm that competes without a request is there with zeros.
    """

    sequence: int
    step: int
    opened_at: datetime
    closed_at: datetime
    arms: tuple[ArmCounts, ...]

    @property
    def weights(self) -> dict[str, int]:
        return {counts.arm: counts.weight for counts in self.arms}


def of_arms(interval: ArmsInterval, reward: Reward) -> TrialInterval:
    """What an interval's counts come to by the reward; what cannot tell counts as no request."""
    arms = []
    for each in interval.arms:
        total, good = each.tried, each.won
        if reward.counters is None:
            total, good = rewarded(reward, each.counts, interval.bounds_ms) or (0, 0)
        arms.append(
            ArmCounts(
                arm=each.arm, weight=each.weight, started=each.started, total=total, good=good
            )
        )
    return TrialInterval(
        sequence=interval.sequence,
        step=interval.step,
        opened_at=interval.opened_at,
        closed_at=interval.closed_at,
        arms=tuple(arms),
    )


def rewarded(
    reward: Reward, counts: Counts, bounds_ms: tuple[float, ...]
) -> tuple[int, int] | None:
    """How many requests could be rewarded, and how many were: (total, good).

    None where the counts do not tell: no bucket at the reward's bound, or a conversion, which has
    counters of its own.
    """
    match reward.metric:
        case RewardMetric.SUCCESS_RATE:
            return counts.requests, counts.requests - min(counts.errors, counts.requests)
        case RewardMetric.FAST_RATE if reward.slow_over_ms in bounds_ms:
            total = counts.requests if counts.timed is None else counts.timed
            return total, min(counts.within[bounds_ms.index(reward.slow_over_ms)], total)
        case _:
            return None
