"""The chart of a rollout's evidence: ratio with its band, evidence against its line, over time."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from api.schemas.events import SplitOut
from api.schemas.fields import Outgoing
from api.schemas.gates import GateBody
from api.schemas.reading_gates import ReadingGateBody
from api.schemas.verdicts import EffectOut, EvidenceOut, SharesOut
from domain.evidence.chart import (
    ArmPoint,
    ArmSeries,
    Chart,
    GatePoint,
    GateSeries,
    TrialPoint,
    TrialSeries,
)
from domain.readings.drawing import ReadingPoint, ReadingSeries
from domain.readings.outcomes import Outcome as ReadingOutcome
from domain.trial_verdicts import Outcome, PairVerdict, Standing
from domain.verdicts import Status


class GatePointOut(Outgoing):
    """A gate's verdict by the end of an interval, and what was counted in that interval alone.

    Counts are null where the source does not count what the gate asks for.
    """

    at: datetime
    step: int
    weight: int
    candidate_requests: int | None
    candidate_bad: int | None
    stable_requests: int | None
    stable_bad: int | None
    status: Status
    effect: EffectOut | None
    evidence: EvidenceOut | None
    split: SharesOut | None = Field(description="Null where no split is checked.")

    @classmethod
    def from_domain(cls, point: GatePoint) -> Self:
        seen, verdict = point.seen, point.verdict
        split = verdict.quality and verdict.quality.split
        return cls(
            at=point.at,
            step=point.step,
            weight=point.weight,
            candidate_requests=None if seen is None else seen.candidate_requests,
            candidate_bad=None if seen is None else seen.candidate_bad,
            stable_requests=None if seen is None else seen.stable_requests,
            stable_bad=None if seen is None else seen.stable_bad,
            status=verdict.status,
            effect=verdict.effect and EffectOut.model_validate(verdict.effect),
            evidence=verdict.evidence and EvidenceOut.model_validate(verdict.evidence),
            split=split and SharesOut.model_validate(split),
        )


class GateSeriesOut(Outgoing):
    """One gate over time; its margins and its limit are lines of the chart."""

    gate: GateBody
    variant: str = Field(description="The arm of an ab_test that it is about, else empty.")
    points: list[GatePointOut]

    @classmethod
    def from_domain(cls, series: GateSeries) -> Self:
        return cls(
            gate=GateBody.from_domain(series.gate),
            variant=series.variant,
            points=[GatePointOut.from_domain(point) for point in series.points],
        )


class ArmPointOut(Outgoing):
    """An arm's reward by the end of an interval, and what was counted in that interval alone.

    `low` to `high` holds at 95 %; `estimate` is null while there was no request.
    """

    at: datetime
    step: int
    weight: int
    started: int
    total: int
    good: int
    standing: Standing
    estimate: float | None
    low: float
    high: float
    beaten_by: str | None
    beaten_at_odds: float | None
    off_by: float | None = Field(
        description="How far all its requests are off what its weights would give it, as a part."
    )

    @classmethod
    def from_domain(cls, point: ArmPoint) -> Self:
        counts, verdict = point.counts, point.verdict
        return cls(
            at=point.at,
            step=point.step,
            weight=counts.weight,
            started=counts.started,
            total=counts.total,
            good=counts.good,
            standing=verdict.standing,
            estimate=verdict.estimate,
            low=verdict.low,
            high=verdict.high,
            beaten_by=verdict.beaten_by,
            beaten_at_odds=verdict.beaten_at_odds,
            off_by=point.off_by,
        )


class ArmSeriesOut(Outgoing):
    arm: str
    points: list[ArmPointOut]

    @classmethod
    def from_domain(cls, series: ArmSeries) -> Self:
        points = [ArmPointOut.from_domain(point) for point in series.points]
        return cls(arm=series.arm, points=points)


class StrongestOut(Outgoing):
    """Evidence, as odds, that `better` has more reward than `other`."""

    better: str
    other: str
    odds: float

    @classmethod
    def from_domain(cls, pair: PairVerdict) -> Self:
        return cls(better=pair.better, other=pair.other, odds=pair.odds)


class TrialPointOut(Outgoing):
    """How the ab_test stood by the end of an interval."""

    at: datetime
    step: int
    outcome: Outcome
    winner: str | None
    split_in_doubt: bool
    strongest: StrongestOut | None = Field(
        description="Of those who compete; where one is left, what it was left by."
    )
    alike: float | None = Field(
        description="The weakest evidence that two arms are alike; null without a margin."
    )
    split: SplitOut

    @classmethod
    def from_domain(cls, point: TrialPoint) -> Self:
        return cls(
            at=point.at,
            step=point.step,
            outcome=point.outcome,
            winner=point.winner,
            split_in_doubt=point.split.in_doubt,
            strongest=point.strongest and StrongestOut.from_domain(point.strongest),
            alike=point.alike,
            split=SplitOut.model_validate(point.split),
        )


class TrialSeriesOut(Outgoing):
    """The arms of an ab_test over time. `alike` is to reach `margin_odds_needed`."""

    odds_needed: float = Field(description="What `strongest` has to reach.")
    margin_odds_needed: float
    arms: list[ArmSeriesOut]
    points: list[TrialPointOut]

    @classmethod
    def from_domain(cls, series: TrialSeries) -> Self:
        return cls(
            odds_needed=series.odds_needed,
            margin_odds_needed=series.margin_odds_needed,
            arms=[ArmSeriesOut.from_domain(arm) for arm in series.arms],
            points=[TrialPointOut.from_domain(point) for point in series.points],
        )


class ReadingPointOut(Outgoing):
    """What a gate without statistics read at one moment, and its verdict by then."""

    at: datetime
    step: int
    values: list[float | None] = Field(
        description="One for each series of the answer; null for NaN and infinities."
    )
    texts: list[str] | None = Field(
        description="All values as texts, such as `NaN` and `+Inf`; null where none is null."
    )
    error: str = Field(description="Why there was no answer, else empty.")
    outcome: ReadingOutcome
    status: Status

    @classmethod
    def from_domain(cls, point: ReadingPoint) -> Self:
        series = point.reading.series
        are_numbers = all(map(math.isfinite, series))
        return cls(
            at=point.reading.at,
            step=point.step,
            values=[value if math.isfinite(value) else None for value in series],
            texts=None if are_numbers else [_as_text(value) for value in series],
            error=point.reading.error,
            outcome=point.outcome,
            status=point.status,
        )


def _as_text(value: float) -> str:
    """As Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


class ReadingSeriesOut(Outgoing):
    """One gate without statistics over time; its conditions say what its values must be."""

    gate: ReadingGateBody
    variant: str = Field(description="The arm of an ab_test that it is about, else empty.")
    points: list[ReadingPointOut]

    @classmethod
    def from_domain(cls, series: ReadingSeries) -> Self:
        return cls(
            gate=ReadingGateBody.from_domain(series.gate),
            variant=series.variant,
            points=[ReadingPointOut.from_domain(point) for point in series.points],
        )


class EvidenceChartOut(Outgoing):
    """What each verdict was over time.

    The points of all series are of the same moments, of other sources than envoy of their own.
    Those of readings are the readings themselves.
    """

    rollout_id: UUID
    intervals: int = Field(description="How many intervals are stored and were folded.")
    gates: list[GateSeriesOut] = Field(description="One a gate; of an ab_test one a gate and arm.")
    trial: TrialSeriesOut | None = Field(description="Of an ab_test: how its arms compare.")
    readings: list[ReadingSeriesOut] = Field(
        description="One a gate without statistics; of an ab_test one a gate and arm."
    )

    @classmethod
    def from_domain(
        cls, rollout_id: UUID, chart: Chart, readings: Sequence[ReadingSeries] = ()
    ) -> Self:
        return cls(
            rollout_id=rollout_id,
            intervals=chart.intervals,
            gates=[GateSeriesOut.from_domain(series) for series in chart.gates],
            trial=chart.trial and TrialSeriesOut.from_domain(chart.trial),
            readings=[ReadingSeriesOut.from_domain(series) for series in readings],
        )
