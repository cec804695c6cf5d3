"""What a rollout tells while it runs: its events, and the live view with its verdicts."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from api.schemas.fields import Outgoing
from api.schemas.verdicts import Read, VerdictOut
from domain.rollout import Event, EventKind, Phase
from domain.trial_verdicts import Outcome, Standing
from workflows.messages import RolloutView


class EventOut(Outgoing):
    """One line of a rollout's history. `id` grows; ask for the events after the last one seen."""

    id: int
    rollout_id: UUID
    kind: EventKind
    message: str
    at: datetime
    step: int | None
    data: dict[str, Any]

    @classmethod
    def from_domain(cls, event: Event) -> Self:
        return cls(
            id=event.id,
            rollout_id=event.rollout_id,
            kind=event.kind,
            message=event.message,
            at=event.at,
            step=event.step,
            data=event.data,
        )


class Events(Outgoing):
    """Some of the events, oldest first. `next_after` continues; null when these were the last."""

    items: list[EventOut]
    page_size: int
    next_after: int | None


class ArmOut(Read):
    """One arm of an ab_test: what was counted while it competed. `low` to `high` holds at 95 %."""

    arm: str
    standing: Standing
    started: int
    total: int
    good: int
    estimate: float | None
    low: float
    high: float
    prob_best: float | None
    expected_loss: float | None
    beaten_by: str | None
    beaten_at_odds: float | None


class PairOut(Read):
    """Evidence, as odds, that `better` has more reward than `other`."""

    better: str
    other: str
    odds: float | None
    within_margin: float | None


class SplitOut(Read):
    """Whether requests arrive as weighted; while in doubt nothing is decided."""

    odds: float | None
    odds_needed: float
    arm: str | None
    off_by: float
    in_doubt: bool


class TrialOut(Read):
    """How an ab_test stands, and why."""

    outcome: Outcome
    reason: str
    winner: str | None
    arms: list[ArmOut]
    pairs: list[PairOut]
    odds_needed: float
    margin_odds_needed: float
    split: SplitOut
    intervals: int
    opened_at: datetime | None
    closed_at: datetime | None


class LiveOut(Outgoing):
    """What the running workflow says of itself; `reason` is also what it waits for."""

    phase: Phase
    reason: str
    step: int
    candidate_weight: int
    weights: dict[str, int]
    verdicts: list[VerdictOut]
    trial: TrialOut | None = Field(description="Of an ab_test: how its arms compare.")
    rollback_since: datetime | None

    @classmethod
    def from_domain(cls, view: RolloutView) -> Self:
        return cls(
            phase=view.phase,
            reason=view.reason,
            step=view.step,
            candidate_weight=view.candidate_weight,
            weights=view.weights,
            verdicts=VerdictOut.listed(view.verdicts),
            trial=None if view.trial is None else TrialOut.model_validate(view.trial),
            rollback_since=view.rollback_since,
        )
