"""Trials in one line; a test names only what matters to it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from domain.evidence.trial_intervals import ArmCounts, TrialInterval
from domain.trial import Direction, Reward, RewardMetric
from tests.domain.evidence.scenes import NOON

ARMS = ("a", "b", "c")
CONVERSION = Reward(metric=RewardMetric.CONVERSION)
FEWER = Reward(metric=RewardMetric.CONVERSION, direction=Direction.LOWER)
Arm = tuple[int, int]
"""Requests, and how many of them were good."""


def even(arms: Iterable[str]) -> dict[str, int]:
    """Weights as equal as whole percents can be."""
    names = list(arms)
    return {arm: 100 // len(names) + (i < 100 % len(names)) for i, arm in enumerate(names)}


def seen(
    sequence: int,
    counts: Mapping[str, Arm],
    *,
    weights: Mapping[str, int] | None = None,
    started: Mapping[str, int] | None = None,
    seconds: float = 60.0,
    step: int = 0,
) -> TrialInterval:
    """One interval. Requests arrive as they are counted unless `started` says otherwise."""
    weights, started = weights or even(counts), started or {}
    return TrialInterval(
        sequence=sequence,
        step=step,
        opened_at=NOON + timedelta(seconds=sequence * seconds),
        closed_at=NOON + timedelta(seconds=(sequence + 1) * seconds),
        arms=tuple(
            ArmCounts(
                arm=arm,
                weight=weights[arm],
                started=started.get(arm, total),
                total=total,
                good=good,
            )
            for arm, (total, good) in counts.items()
        ),
    )


def drawn(
    rng: np.random.Generator,
    sequence: int,
    fractions: Mapping[str, float],
    *,
    weights: Mapping[str, int] | None = None,
    requests: int = 3000,
    seconds: float = 60.0,
) -> TrialInterval:
    """One interval of so many requests, split by weight, each good with its arm's fraction."""
    weights = weights or even(fractions)
    totals = rng.multinomial(requests, [weights[arm] / 100 for arm in fractions])
    good = rng.binomial(totals, list(fractions.values()))
    counts = {arm: (int(n), int(x)) for arm, n, x in zip(fractions, totals, good, strict=True)}
    return seen(sequence, counts, weights=weights, seconds=seconds)


def life(
    fractions: Mapping[str, float], looks: int, *, seed: int = 1, requests: int = 3000
) -> Sequence[TrialInterval]:
    """So many intervals at equal weights."""
    rng = np.random.default_rng(seed)
    return [drawn(rng, look, fractions, requests=requests) for look in range(looks)]
