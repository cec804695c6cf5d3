"""What is known about a trial at one moment, in numbers and in sentences."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """Where a trial stands.

    WINNER: one arm is proven better than all that competed. EQUIVALENT: those that compete are
    proven to differ by less than the margin. UNOPPOSED: at most one arm is left, without proof,
    because others left for reasons of their own. UNDECIDED: none of these, yet.
    """

    WINNER = "winner"
    EQUIVALENT = "equivalent"
    UNOPPOSED = "unopposed"
    UNDECIDED = "undecided"


class Standing(StrEnum):
    """ELIMINATED: proven worse than another arm. LEFT: taken out by whoever runs the trial."""

    COMPETING = "competing"
    ELIMINATED = "eliminated"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmVerdict:
    """One arm: what was counted while it competed, and what that says of its reward.

    `estimate` is None without a request; `low` and `high` hold at every look, at 95 %.
    `prob_best` and `expected_loss` (in fractions of requests) are for people and decide nothing;
    None for arms that no longer compete, or while arms cannot be compared.
    `beaten_at_odds` is the evidence for `beaten_by` when it eliminated the arm.
    """

    arm: str
    standing: Standing
    started: int
    total: int
    good: int
    estimate: float | None
    low: float
    high: float
    prob_best: float | None = None
    expected_loss: float | None = None
    beaten_by: str | None = None
    beaten_at_odds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """Evidence, as odds, that `better` has more reward than `other`.

    `within_margin` is the evidence that it has less than the margin more; None without a margin.
    """

    better: str
    other: str
    odds: float
    within_margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitVerdict:
    """Do requests arrive as weighted? `odds` are those against it, at their highest so far.

    `off_by` is how far the arm that is furthest off lies from its expected number of requests,
    relative to that (-0.1: a tenth too few).
    """

    odds: float
    odds_needed: float
    arm: str | None
    off_by: float
    in_doubt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialVerdict:
    """A trial's verdict. `reason` says in sentences what was seen and what was required.

    `arms` has every arm in the trial's order, `pairs` each ordered pair of those that compete.
    `odds_needed` is what eliminates an arm, `margin_odds_needed` what shows equivalence.
    """

    outcome: Outcome
    reason: str
    winner: str | None
    arms: tuple[ArmVerdict, ...]
    pairs: tuple[PairVerdict, ...]
    odds_needed: float
    margin_odds_needed: float
    split: SplitVerdict
    intervals: int
    opened_at: datetime | None
    closed_at: datetime | None

    @property
    def competing(self) -> tuple[str, ...]:
        return tuple(a.arm for a in self.arms if a.standing is Standing.COMPETING)

    @property
    def eliminated(self) -> tuple[str, ...]:
        return tuple(a.arm for a in self.arms if a.standing is Standing.ELIMINATED)
