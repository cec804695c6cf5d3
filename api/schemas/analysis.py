"""What a backtest is asked for, and what it answers."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas.fields import Incoming, Label, Outgoing
from api.schemas.fleet import Moment
from api.schemas.gates import AnyGateBody
from api.schemas.plans import MOST_LISTED
from api.schemas.verdicts import VerdictOut
from domain.evidence.replaying import Fired, Replayed
from domain.verdicts import Status

LONGEST_RANGE = timedelta(days=7)
MOST_HEALTHY = 20
MOST_SLOTS = 100
LARGEST_PHI = 100

Phi = Annotated[
    float,
    Field(
        ge=1,
        le=LARGEST_PHI,
        allow_inf_nan=False,
        description="How much more bad requests scatter than independent ones; divides evidence.",
    ),
]
SlotIndex = Annotated[int, Field(ge=0, lt=MOST_SLOTS)]


class RangeIn(Incoming):
    """A range of time: from a moment to another, or that of a past rollout."""

    rollout_id: UUID | None = Field(default=None, description="The range that it counted in.")
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        is_explicit = self.since is not None or self.until is not None
        if is_explicit == (self.rollout_id is not None):
            raise ValueError("needs either rollout_id, or from and to")
        if self.rollout_id is None:
            _require_range(self.since, self.until)
        return self


class BacktestIn(RangeIn):
    """Gates, and the range of the past to replay them on."""

    traffic_config_id: UUID | None = Field(
        default=None, description="Needed without rollout_id; with it, it must be the rollout's."
    )
    candidate: Label | None = Field(
        default=None,
        description="A variant that holds a slot of the config; of an ab_test's rollout its arm.",
    )
    candidate_slot: SlotIndex | None = Field(
        default=None, description="Instead of candidate: the slot, whoever held it then."
    )
    stable: Label | None = Field(default=None, description="Left out: the config's stable variant.")
    stable_slot: SlotIndex | None = Field(default=None, description="Instead of stable.")
    gates: list[AnyGateBody] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_LISTED,
        description="Left out: the rollout's, the traffic config's, or ours.",
    )
    phi: Phi | None = Field(default=None, description="Left out: the rollout's, else 1.")
    probe_interval_seconds: float | None = Field(
        default=None,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        description="How often a watch looks. Left out: as the rollout did, else 15.",
    )
    healthy_ranges: list[RangeIn] = Field(
        default_factory=list,
        max_length=MOST_HEALTHY,
        description="Ranges in which nothing was wrong: what fails there is a false alarm.",
    )

    @model_validator(mode="after")
    def _names_its_arms(self) -> Self:
        for name in ("candidate", "stable"):
            if getattr(self, name) is not None and getattr(self, f"{name}_slot") is not None:
                raise ValueError(f"{name} and {name}_slot must not both be given")
        if self.rollout_id is not None:
            if (self.stable, self.stable_slot, self.candidate_slot) != (None, None, None):
                raise ValueError("with rollout_id only candidate may be named, of an ab_test")
            return self
        if self.traffic_config_id is None:
            raise ValueError("needs traffic_config_id, or rollout_id")
        if self.candidate is None and self.candidate_slot is None:
            raise ValueError("needs candidate or candidate_slot, or rollout_id")
        return self


def _require_range(since: datetime | None, until: datetime | None) -> None:
    if since is None or until is None:
        raise ValueError("needs both from and to")
    if until <= since:
        raise ValueError("to must lie after from")
    if until - since > LONGEST_RANGE:
        raise ValueError(f"from and to must be at most {LONGEST_RANGE.days} days apart")


class FiredOut(Outgoing):
    """The first moment of a FAIL or a PASS, `seconds` after the range began, and its verdict."""

    at: datetime
    seconds: float
    step: int
    weight: int | None
    verdict: VerdictOut

    @classmethod
    def from_domain(cls, fired: Fired | None) -> Self | None:
        if fired is None:
            return None
        return cls(
            at=fired.at,
            seconds=fired.seconds,
            step=fired.step,
            weight=fired.weight or None,
            verdict=VerdictOut.from_domain(fired.verdict),
        )


class GateBacktestOut(Outgoing):
    gate: str
    status: Status = Field(description="By the end of the range.")
    first_fail: FiredOut | None
    first_pass: FiredOut | None
    verdict: VerdictOut = Field(description="By the end; after a FAIL that of the FAIL.")


class ReplayOut(Outgoing):
    """One range, replayed."""

    rollout_id: UUID | None
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    samples: int
    intervals: int
    readings: int
    missing: list[str] = Field(description="What the metrics store does not have of the range.")
    judged: bool = Field(description="Whether any gate had something to judge.")
    fired: bool
    gates: list[GateBacktestOut]

    @classmethod
    def from_domain(
        cls,
        found: Replayed,
        *,
        rollout_id: UUID | None,
        since: datetime,
        until: datetime,
        readings: int,
    ) -> Self:
        return cls(
            rollout_id=rollout_id,
            since=since,
            until=until,
            samples=found.samples,
            intervals=found.intervals,
            readings=readings,
            missing=list(found.missing),
            judged=found.judged,
            fired=bool(found.fired),
            gates=[
                GateBacktestOut(
                    gate=one.gate,
                    status=one.verdict.status,
                    first_fail=FiredOut.from_domain(one.first_fail),
                    first_pass=FiredOut.from_domain(one.first_pass),
                    verdict=VerdictOut.from_domain(one.verdict),
                )
                for one in found.gates
            ],
        )


class HealthyOut(Outgoing):
    """How often the gates would have fired where nothing was wrong."""

    counted: int = Field(
        description="Ranges in which any gate had something to judge; the others say nothing."
    )
    fired: int
    fired_by_gate: dict[str, int]
    ranges: list[ReplayOut]

    @classmethod
    def of(cls, ranges: list[ReplayOut]) -> Self:
        named = [gate.gate for gate in ranges[0].gates]
        failed = [g.gate for one in ranges for g in one.gates if g.first_fail is not None]
        return cls(
            counted=sum(one.judged for one in ranges),
            fired=sum(one.fired for one in ranges),
            fired_by_gate={name: failed.count(name) for name in named},
            ranges=ranges,
        )


class LeftOutOut(Outgoing):
    """A gate of the rollout or the traffic config that cannot be replayed."""

    gate: str
    reason: str


class BacktestOut(Outgoing):
    gates: list[AnyGateBody]
    left_out: list[LeftOutOut]
    phi: float
    warm_up_seconds: float
    probe_interval_seconds: float
    replay: ReplayOut
    healthy: HealthyOut | None = Field(description="Null where no healthy range was named.")
