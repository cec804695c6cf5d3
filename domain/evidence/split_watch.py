"""The split of requests over a whole trial, while weights change: the evidence multiplies.

A mismatch holds a decision; it never eliminates anyone (docs/statistics.md, section 2c).
"""

import math
from collections.abc import Iterable, Mapping

from domain.evidence.mixtures import odds
from domain.evidence.split import sample_ratio_mismatch
from domain.trial_verdicts import SplitVerdict

ODDS_NEEDED = 1 / 0.01
# Connections are balanced, not requests, so every split is a little off: that alone is no alarm.
TOLERATED = 0.05


class SplitWatch:
    """The Dirichlet-multinomial test, begun anew with each change of the shares.

    When an arm leaves nothing that was found before counts any more: what it got too little, the
    others got too much, and it would be held against them for ever.
    """

    def __init__(self) -> None:
        self._begin(())

    def _begin(self, arms: Iterable[str]) -> None:
        self._arms = frozenset(arms)
        self._shares: dict[str, float] = {}
        self._totals: dict[str, int] = {}
        self._earlier = 0.0
        self._highest = 0.0
        self._seen: dict[str, int] = {}
        self._expected: dict[str, float] = {}

    def add(self, weights: Mapping[str, int], started: Mapping[str, int]) -> None:
        """One interval: who was given which weight, and how many requests arrived there."""
        if self._arms - weights.keys():
            self._begin(weights)
        self._arms |= weights.keys()
        whole = sum(weights.values())
        shares = {arm: weight / whole for arm, weight in weights.items() if weight}
        if shares != self._shares:
            self._earlier += self._log_factor()
            self._shares, self._totals = shares, dict.fromkeys(shares, 0)
        arrived = sum(started[arm] for arm in shares)
        for arm, share in shares.items():
            self._totals[arm] += started[arm]
            self._seen[arm] = self._seen.get(arm, 0) + started[arm]
            self._expected[arm] = self._expected.get(arm, 0.0) + share * arrived
        self._highest = max(self._highest, self._earlier + self._log_factor())

    def off_by(self) -> dict[str, float]:
        """By arm, how far its requests lie from their expected number, relative to that."""
        return {
            arm: self._seen[arm] / expected - 1
            for arm, expected in self._expected.items()
            if expected > 0
        }

    def verdict(self) -> SplitVerdict:
        off = self.off_by()
        arm = max(off, key=lambda each: abs(off[each]), default=None)
        off_by = 0.0 if arm is None else off[arm]
        return SplitVerdict(
            odds=odds(self._highest),
            odds_needed=ODDS_NEEDED,
            arm=arm,
            off_by=off_by,
            in_doubt=self._highest >= math.log(ODDS_NEEDED) and abs(off_by) > TOLERATED,
        )

    def _log_factor(self) -> float:
        if len(self._shares) < 2:  # noqa: PLR2004 - one arm gets everything: nothing to mismatch
            return 0.0
        totals = [self._totals[arm] for arm in self._shares]
        shares = list(self._shares.values())
        return sample_ratio_mismatch([totals], shares).log_bayes_factor
