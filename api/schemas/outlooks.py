"""What an outlook on a plan is asked for, and what it answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.analysis import Phi
from api.schemas.fields import Outgoing
from api.schemas.gates import GateBody
from api.schemas.rollouts import RolloutIn
from domain.evidence.planning import Outlook
from domain.gates import Gate
from domain.outlook import AtWeight, GateOutlook, StepOutlook, TrafficSeen

MOST_WEIGHTS = 8
OTHER_WEIGHTS = (5, 10, 25, 50)


class AnalysisPlanIn(RolloutIn):
    """A rollout as it would be started, and the traffic that it is to be judged on."""

    traffic_config_id: UUID
    window_seconds: float = Field(
        default=3600,
        ge=5,
        le=30 * 86_400,
        allow_inf_nan=False,
        description="How far back stable's traffic is looked at; what it has held its slot for.",
    )
    other_weights: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=list(OTHER_WEIGHTS),
        max_length=MOST_WEIGHTS,
        description="Weights to compare with that of each step.",
    )
    phi: Phi = 1.0


class OutlookOut(Outgoing):
    """Medians, in seconds; null: not within 30 days, or not known."""

    seconds_to_pass: float | None
    passes_within_soak: bool
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None
    smallest_ratio: float | None
    smallest_fraction: float | None

    @classmethod
    def from_domain(cls, outlook: Outlook, *, passes: bool) -> Self:
        return cls(
            seconds_to_pass=outlook.seconds_to_pass,
            passes_within_soak=passes,
            seconds_to_find_double=outlook.seconds_to_find_double,
            seconds_to_find_tenfold=outlook.seconds_to_find_tenfold,
            smallest_ratio=outlook.smallest_ratio,
            smallest_fraction=outlook.smallest_fraction,
        )


class AtWeightOut(Outgoing):
    weight: int
    seconds_to_pass: float | None
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None

    @classmethod
    def from_domain(cls, other: AtWeight) -> Self:
        return cls(
            weight=other.weight,
            seconds_to_pass=other.seconds_to_pass,
            seconds_to_find_double=other.seconds_to_find_double,
            seconds_to_find_tenfold=other.seconds_to_find_tenfold,
        )


class GateOutlookOut(Outgoing):
    """`outlook` is null where nothing is known; `reason` says why, or what is lacking in it."""

    gate: str
    outlook: OutlookOut | None
    other_weights: list[AtWeightOut]
    reason: str | None

    @classmethod
    def from_domain(cls, gate: GateOutlook) -> Self:
        found, passes = gate.outlook, bool(gate.passes_within_soak)
        return cls(
            gate=gate.gate,
            outlook=found and OutlookOut.from_domain(found, passes=passes),
            other_weights=[AtWeightOut.from_domain(other) for other in gate.at_weights],
            reason=gate.reason or None,
        )


class StepOutlookOut(Outgoing):
    step: int
    description: str
    variant: str = Field(description="The arm of an ab_test that it is about, else empty.")
    weight: int
    requests_per_second: float | None = Field(description="Of the candidate.")
    soak_seconds: float = Field(description="How long the step lasts at most.")
    summary: str
    gates: list[GateOutlookOut]

    @classmethod
    def from_domain(cls, step: StepOutlook) -> Self:
        return cls(
            step=step.step,
            description=step.doing,
            variant=step.variant,
            weight=step.weight,
            requests_per_second=step.requests_per_second,
            soak_seconds=step.soak.total_seconds(),
            summary=step.summary,
            gates=[GateOutlookOut.from_domain(gate) for gate in step.gates],
        )


class TrafficSeenOut(Outgoing):
    """What stable did in the window; null is what was not counted."""

    as_of: datetime
    window_seconds: float
    requests: int | None
    requests_per_second: float | None
    bad_fractions: dict[str, float | None] = Field(description="By gate.")

    @classmethod
    def from_domain(cls, seen: TrafficSeen, gates: Sequence[Gate], as_of: datetime) -> Self:
        return cls(
            as_of=as_of,
            window_seconds=seen.window.total_seconds(),
            requests=seen.requests,
            requests_per_second=seen.requests_per_second,
            bad_fractions={gate.name: seen.bad.get(gate.name) for gate in gates},
        )


class AnalysisPlanOut(Outgoing):
    """What is to be expected of each step that gates watch."""

    traffic: TrafficSeenOut
    gates: list[GateBody]
    phi: float
    steps: list[StepOutlookOut]
