"""What the arms of a trial would show, look by look, as far as a random script has it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random

from domain.apportionment import apportion
from domain.traffic import FULL
from domain.trial import Trial
from domain.trial_verdicts import Outcome, TrialVerdict
from domain.verdicts import Status
from tests.plans import trial as a_trial

FLOOR = 5


@dataclass(slots=True)
class TrialScript:
    """Arms `failing` fail their gates for good; `beaten` names who is proven better than whom.

    `is_hurried`: with each look another arm is proven worse, until one is left.
    """

    rng: Random
    failing: set[str] = field(default_factory=set)
    beaten: dict[str, str] = field(default_factory=dict)
    is_equal: bool = False
    is_hurried: bool = False
    _shares: dict[str, float] = field(default_factory=dict)

    def eliminate(self, trial: Trial, left: Collection[str] = ()) -> None:
        """Have one arm be proven worse than another, if two compete."""
        competing = self._competing(trial, left)
        if len(competing) > 1:
            better, worse = self.rng.sample(competing, 2)
            self.beaten[worse] = better

    def sway(self, trial: Trial) -> None:
        """Have other weights be due."""
        self._shares = {arm: self.rng.random() for arm in trial.arms}

    def status(self, arm: str, mood: Status) -> Status:
        """What the gates say of an arm."""
        return Status.FAIL if arm in self.failing else mood

    def verdict(self, trial: Trial, left: Collection[str]) -> TrialVerdict:
        """How the trial stands, by the rules of the real fold."""
        if self.is_hurried:
            self.eliminate(trial, left)
        gone = set(left) - set(self.beaten)
        competing = self._competing(trial, left)
        outcome = self._outcome(competing, gone)
        winner = competing[0] if outcome is Outcome.WINNER else None
        return a_trial(outcome, winner, arms=trial.arms, left=gone, **self.beaten)

    def due(self, trial: Trial, left: Collection[str]) -> dict[str, int] | None:
        """The weights that follow the reward, where they do."""
        if trial.allocation is None or not self._shares:
            return None
        present = [arm for arm in trial.arms if arm not in left]
        whole = sum(self._shares[arm] for arm in present)
        free = FULL - FLOOR * len(present)
        wanted = [FLOOR + free * self._shares[arm] / whole for arm in present]
        weights = dict(zip(present, apportion(wanted, FULL), strict=True))
        return {arm: weights.get(arm, 0) for arm in trial.arms}

    def _competing(self, trial: Trial, left: Collection[str]) -> list[str]:
        return [arm for arm in trial.arms if arm not in left and arm not in self.beaten]

    def _outcome(self, competing: list[str], gone: Collection[str]) -> Outcome:
        beaters = set(self.beaten.values())
        is_proven = bool(competing and beaters) and not beaters & set(gone)
        if len(competing) <= 1:
            return Outcome.WINNER if is_proven else Outcome.UNOPPOSED
        return Outcome.EQUIVALENT if self.is_equal else Outcome.UNDECIDED
