"""What a chart of evidence is made of: series of points, each a verdict with what it rests on.

How they come about stands in `domain/evidence/drawing.py`.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.evidence.tallies import Observation
from domain.evidence.trial_intervals import ArmCounts
from domain.gates import Gate
from domain.trial_verdicts import ArmVerdict, Outcome, PairVerdict, SplitVerdict
from domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePoint:
    """A gate at the end of an interval; `seen` is what it counted in that one, None: it could not.

    Once a gate has failed its verdict stays that of the first crossing.
    """

    at: datetime
    step: int
    weight: int
    seen: Observation | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSeries:
    """One gate, of the arm of a trial that `variant` names; empty for the candidate."""

    gate: Gate
    variant: str
    points: tuple[GatePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmPoint:
    """An arm at the end of an interval; `counts` are those of that interval.

    `off_by` is how far all of its requests so far are off what its weights would give it, relative
    to that; None while it has not had any weight.
    """

    at: datetime
    step: int
    counts: ArmCounts
    verdict: ArmVerdict
    off_by: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeries:
    arm: str
    points: tuple[ArmPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPoint:
    """A trial at the end of an interval.

    `strongest` is the pair of those that compete whose evidence is furthest; where nobody is left
    to compete with, the strongest elimination. `alike` is the weakest evidence that two arms differ
    by less than the margin, which all pairs must have; None without a margin or a pair.
    """

    at: datetime
    step: int
    outcome: Outcome
    winner: str | None
    split: SplitVerdict
    strongest: PairVerdict | None
    alike: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSeries:
    """`odds_needed` is the line of `strongest`, `margin_odds_needed` that of `alike`."""

    odds_needed: float
    margin_odds_needed: float
    arms: tuple[ArmSeries, ...]
    points: tuple[TrialPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`intervals` is how many were folded; all series are empty where there were none."""

    intervals: int
    gates: tuple[GateSeries, ...]
    trial: TrialSeries | None
