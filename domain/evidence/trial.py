"""A trial's verdict as a pure fold over its stored intervals: the same intervals, the same verdict.

Whoever is proven worse than another arm is eliminated, and the last one standing has won. A false
winner or a wrong elimination of the best arm needs one of K - 1 pairs to lie, hence the K - 1 that
each must overcome. K stays the number of arms that began: who has left depends on what was seen,
and a threshold that falls with it would have been chosen by the data.

Where an arm leaves for reasons other than this evidence, claims are about those that remain;
the bound then holds as far as those reasons have nothing to do with the reward.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from domain.evidence import best_arm, fraction, trial_reasons
from domain.evidence.mixtures import odds
from domain.evidence.pair_tests import PairTests
from domain.evidence.split_watch import SplitWatch
from domain.evidence.strata import Stratum, balanced
from domain.evidence.trial_intervals import ArmCounts, TrialInterval
from domain.trial import Reward, TrialRules
from domain.trial_verdicts import (
    ArmVerdict,
    Outcome,
    PairVerdict,
    SplitVerdict,
    Standing,
    TrialVerdict,
)

LEVEL = 0.95


def judge_trial(
    arms: Sequence[str],
    reward: Reward,
    rules: TrialRules,
    intervals: Sequence[TrialInterval],
    *,
    left: Collection[str] = (),
    phi: float = 1.0,
) -> TrialVerdict:
    """The verdict on all intervals seen so far; `left` as in `TrialJudge.verdict`."""
    fold = TrialJudge(arms, reward, rules, phi=phi)
    for interval in intervals:
        fold.add(interval)
    return fold.verdict(left=left)


class TrialJudge:
    """The same fold, fed interval by interval as a watcher sees them.

    `arms` are all that began, in an order that stays. `phi` >= 1 is how much more the outcomes
    scatter than independent ones, fixed before the trial; it divides all evidence.
    """

    def __init__(
        self, arms: Sequence[str], reward: Reward, rules: TrialRules, *, phi: float = 1.0
    ) -> None:
        self._arms, self._reward, self._rules, self._phi = tuple(arms), reward, rules, phi
        self._tests = PairTests(len(arms), margin=rules.equivalence_margin, phi=phi)
        self._needed = math.log((len(arms) - 1) / rules.alpha)
        self._split = SplitWatch()
        self._tallies = {arm: _ArmTally() for arm in arms}
        self._beaten_by: dict[str, str] = {}
        self._beaten_at: dict[str, float] = {}
        self._left: set[str] = set()
        self._stretches: list[tuple[float, Stratum]] = []
        self._first: TrialInterval | None = None
        self._last: TrialInterval | None = None
        self._intervals = 0

    def add(self, interval: TrialInterval) -> None:
        """Take the next interval in.

        Raises ValueError when it is not after the last one or has an arm that did not begin.
        """
        self._require_next(interval)
        self._left |= set(self._arms) - set(interval.weights) - set(self._beaten_by)
        counted = {each.arm: each for each in interval.arms if self._competes(each.arm)}
        self._test(counted)
        self._stretch(interval, counted)
        self._split.add(
            {arm: counts.weight for arm, counts in counted.items()},
            {arm: counts.started for arm, counts in counted.items()},
        )
        self._first = self._first or interval
        self._last, self._intervals = interval, self._intervals + 1
        if not self._split_verdict().in_doubt:
            self._eliminate()

    def verdict(self, *, left: Collection[str] = ()) -> TrialVerdict:
        """What is known now; asking changes nothing.

        `left` names arms that have left since the last interval, which still has their counts.
        """
        verdict = self.numbers(left=left)
        chances = self._chances(verdict.competing)
        arms = tuple(_with_chances(arm, chances) for arm in verdict.arms)
        return trial_reasons.explained(replace(verdict, arms=arms), self._reward, self._rules)

    def numbers(self, *, left: Collection[str] = ()) -> TrialVerdict:
        """The verdict without what only people need: its reason, and the chances of being best."""
        gone = self._gone(left)
        competing = self._competing(gone)
        split = self._split_verdict()
        outcome = self._outcome(competing, gone, split)
        return TrialVerdict(
            outcome=outcome,
            reason="",
            winner=competing[0] if outcome is Outcome.WINNER else None,
            arms=tuple(self._arm_verdicts(gone)),
            pairs=tuple(self._pair_verdicts(competing)),
            odds_needed=odds(self._needed),
            margin_odds_needed=1 / self._rules.alpha,
            split=split,
            intervals=self._intervals,
            opened_at=self._first.opened_at if self._first else None,
            closed_at=self._last.closed_at if self._last else None,
        )

    def stands(self) -> tuple[Outcome, tuple[Standing, ...], bool]:
        """What the verdict says without any number: the outcome, the arms, a doubt of the split."""
        split = self._split_verdict()
        outcome = self._outcome(self._competing(self._left), self._left, split)
        standings = tuple(self._standing(arm, self._left) for arm in self._arms)
        return outcome, standings, split.in_doubt

    def off_by(self) -> dict[str, float]:
        """How far each arm's requests are off what its weights would give it, relative to that."""
        return self._split.off_by()

    def _gone(self, left: Collection[str]) -> set[str]:
        return self._left | (set(left) - set(self._beaten_by))

    def _competing(self, gone: Collection[str]) -> list[str]:
        return [arm for arm in self._arms if arm not in gone and arm not in self._beaten_by]

    def _require_next(self, interval: TrialInterval) -> None:
        if self._last and interval.sequence <= self._last.sequence:
            raise ValueError(f"interval {interval.sequence} came after {self._last.sequence}")
        if unknown := set(interval.weights) - set(self._arms):
            raise ValueError(f"{', '.join(sorted(unknown))} did not begin the trial")

    def _competes(self, arm: str) -> bool:
        return arm not in self._left and arm not in self._beaten_by

    def _test(self, counted: dict[str, ArmCounts]) -> None:
        for arm, counts in counted.items():
            self._tallies[arm].add(counts)
        totals = [counted[arm].total if arm in counted else 0 for arm in self._arms]
        wins = [counted[arm].wins(self._reward) if arm in counted else 0 for arm in self._arms]
        self._tests.add(np.array(totals, dtype=np.float64), np.array(wins, dtype=np.float64))

    def _stretch(self, interval: TrialInterval, counted: dict[str, ArmCounts]) -> None:
        """Keep the counts by stretches of constant weights, each as long as it lasted."""
        if self._last is None or interval.weights != self._last.weights:
            self._stretches.append((0.0, Stratum()))
        seconds, stratum = self._stretches[-1]
        stratum.add(
            {arm: counts.total for arm, counts in counted.items()},
            {arm: counts.wins(self._reward) for arm, counts in counted.items()},
        )
        seconds += (interval.closed_at - interval.opened_at).total_seconds()
        self._stretches[-1] = (seconds, stratum)

    def _split_verdict(self) -> SplitVerdict:
        """What arrived is told in any case; a doubt there is only where the split is checked."""
        verdict = self._split.verdict()
        return verdict if self._rules.checks_split else replace(verdict, in_doubt=False)

    def _eliminate(self) -> None:
        """One after the other, strongest evidence first: somebody is always left."""
        log_e = self._tests.log_e_better()
        while True:
            found = [
                (float(log_e[k, j]), better, worse)
                for k, better in enumerate(self._arms)
                for j, worse in enumerate(self._arms)
                if k != j and self._competes(better) and self._competes(worse)
            ]
            strongest = max(found, key=lambda each: each[0], default=None)
            if strongest is None or strongest[0] < self._needed:
                return
            log_odds, better, worse = strongest
            self._beaten_by[worse], self._beaten_at[worse] = better, odds(log_odds)

    def _outcome(
        self, competing: Sequence[str], gone: Collection[str], split: SplitVerdict
    ) -> Outcome:
        if len(competing) <= 1 and not self._is_proven(competing, gone):
            return Outcome.UNOPPOSED
        if split.in_doubt:
            return Outcome.UNDECIDED
        if len(competing) == 1:
            return Outcome.WINNER
        return Outcome.EQUIVALENT if self._equal(competing) else Outcome.UNDECIDED

    def _is_proven(self, competing: Sequence[str], gone: Collection[str]) -> bool:
        """Whether the last arm outlasted others by evidence of arms that are still in good repute.

        An elimination by an arm that has left since says nothing about those that remain.
        """
        beaters = set(self._beaten_by.values())
        return bool(competing and beaters) and not beaters & set(gone)

    def _equal(self, competing: Sequence[str]) -> bool:
        if self._rules.equivalence_margin is None:
            return False
        at = [self._arms.index(arm) for arm in competing]
        between = self._tests.log_e_within()[np.ix_(at, at)][~np.eye(len(at), dtype=bool)]
        return bool((between >= -math.log(self._rules.alpha)).all())

    def _arm_verdicts(self, gone: Collection[str]) -> list[ArmVerdict]:
        verdicts = []
        for arm in self._arms:
            tally = self._tallies[arm]
            low, high = fraction.confidence_sequence(
                tally.good / self._phi, tally.total / self._phi, alpha=1 - LEVEL
            )
            verdicts.append(
                ArmVerdict(
                    arm=arm,
                    standing=self._standing(arm, gone),
                    started=tally.started,
                    total=tally.total,
                    good=tally.good,
                    estimate=tally.good / tally.total if tally.total else None,
                    low=low,
                    high=high,
                    beaten_by=self._beaten_by.get(arm),
                    beaten_at_odds=self._beaten_at.get(arm),
                )
            )
        return verdicts

    def _standing(self, arm: str, gone: Collection[str]) -> Standing:
        if arm in self._beaten_by:
            return Standing.ELIMINATED
        return Standing.LEFT if arm in gone else Standing.COMPETING

    def _chances(self, competing: Sequence[str]) -> dict[str, tuple[float, float]]:
        """P(best) and the expected loss of those that compete, from stretches alike for all."""
        if len(competing) < 2:  # noqa: PLR2004 - one alone has no rival
            return {}
        strata = [stratum for _, stratum in self._stretches]
        counts = balanced(strata, [seconds for seconds, _ in self._stretches], competing)
        if counts is None:
            return {}
        wins, totals = ([count / self._phi for count in each] for each in counts)
        best = best_arm.prob_best(wins, totals)
        losses = best_arm.expected_loss(wins, totals)
        return dict(zip(competing, zip(best, losses, strict=True), strict=True))

    def _pair_verdicts(self, competing: Sequence[str]) -> list[PairVerdict]:
        log_better, log_within = self._tests.log_e_better(), self._tests.log_e_within()
        has_margin = self._rules.equivalence_margin is not None
        return [
            PairVerdict(
                better=better,
                other=other,
                odds=odds(float(log_better[k, j])),
                within_margin=odds(float(log_within[k, j])) if has_margin else None,
            )
            for k, better in enumerate(self._arms)
            for j, other in enumerate(self._arms)
            if better != other and better in competing and other in competing
        ]


def _with_chances(arm: ArmVerdict, chances: Mapping[str, tuple[float, float]]) -> ArmVerdict:
    prob_best, loss = chances.get(arm.arm, (None, None))
    return replace(arm, prob_best=prob_best, expected_loss=loss)


class _ArmTally:
    """The sums of one arm while it competes."""

    def __init__(self) -> None:
        self.started = self.total = self.good = 0

    def add(self, counts: ArmCounts) -> None:
        self.started += counts.started
        self.total += counts.total
        self.good += min(max(counts.good, 0), counts.total)
