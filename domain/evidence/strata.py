"""One fraction per arm from stretches of time in which weights and the reward differed.

Pooled counts confuse an arm with the hours in which it had its traffic (Simpson). Here each stretch
counts as much for one arm as for every other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Stratum:
    """What each arm had in one stretch: requests that could be rewarded, and wins."""

    totals: dict[str, int] = field(default_factory=dict)
    wins: dict[str, int] = field(default_factory=dict)

    def add(self, totals: Mapping[str, int], wins: Mapping[str, int]) -> None:
        for arm, total in totals.items():
            self.totals[arm] = self.totals.get(arm, 0) + total
            self.wins[arm] = self.wins.get(arm, 0) + wins[arm]


def balanced(
    strata: Sequence[Stratum], importance: Sequence[float], arms: Sequence[str]
) -> tuple[list[float], list[float]] | None:
    """Wins and totals of each arm that are worth as much as its strata are together.

    The fraction is the mean of the strata's by importance w (summing to 1), the total 1 / sum of
    w^2 / n. Strata in which an arm had nothing compare nobody and are left out; None when no one
    is left. With a single stratum these are its own counts.
    """
    weighed = [
        (weight, stratum)
        for weight, stratum in zip(importance, strata, strict=True)
        if weight > 0 and all(stratum.totals.get(arm) for arm in arms)
    ]
    whole = sum(weight for weight, _ in weighed)
    if not weighed:
        return None
    wins, totals = [], []
    for arm in arms:
        parts = [(weight / whole, s.wins[arm], s.totals[arm]) for weight, s in weighed]
        total = 1 / sum(share**2 / n for share, _, n in parts)
        totals.append(total)
        wins.append(min(total, total * sum(share * x / n for share, x, n in parts)))
    return wins, totals
