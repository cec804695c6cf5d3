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
from domain.evidence.base_rates import BaseRates
from domain.evidence.planning import Outlook
from domain.gates import Gate
from domain.outlook_words import AtWeight, GateOutlook, ReadingOutlook, StepOutlook
from domain.traffic_seen import TrafficSeen

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
    phi: Phi | None = Field(
        default=None,
        description="Left out: the policy overdispersion, or what stable's pods show of it now.",
    )


class AtBoundOut(Outgoing):
    """A fraction of bad requests at one of the bounds that stable's history gives."""

    bound: float = Field(description="In milliseconds.")
    bad_fraction: float

    @classmethod
    def each(cls, bounds: Sequence[float], fractions: Sequence[float]) -> list[Self]:
        return [
            cls(bound=bound, bad_fraction=fraction)
            for bound, fraction in zip(bounds, fractions, strict=True)
        ]


class OutlookOut(Outgoing):
    """Medians, in seconds; null: not within 30 days, or not known."""

    seconds_to_pass: float | None
    passes_within_soak: bool
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None
    smallest_ratio: float | None
    smallest_fraction: float | None
    smallest_at_bounds: list[AtBoundOut]

    @classmethod
    def from_domain(cls, outlook: Outlook, gate: GateOutlook) -> Self:
        fractions = outlook.smallest_fractions
        return cls(
            seconds_to_pass=outlook.seconds_to_pass,
            passes_within_soak=bool(gate.passes_within_soak),
            seconds_to_find_double=outlook.seconds_to_find_double,
            seconds_to_find_tenfold=outlook.seconds_to_find_tenfold,
            smallest_ratio=outlook.smallest_ratio,
            smallest_fraction=fractions[0] if fractions and not gate.bounds else None,
            smallest_at_bounds=(
                AtBoundOut.each(gate.bounds, fractions) if fractions and gate.bounds else []
            ),
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
        return cls(
            gate=gate.gate,
            outlook=gate.outlook and OutlookOut.from_domain(gate.outlook, gate),
            other_weights=[AtWeightOut.from_domain(other) for other in gate.at_weights],
            reason=gate.reason or None,
        )


class ReadingOutlookOut(Outgoing):
    """A gate without statistics: when it can PASS if every reading succeeds."""

    gate: str
    readings: int = Field(description="How many that takes.")
    earliest_seconds_to_pass: float
    passes_within_soak: bool

    @classmethod
    def from_domain(cls, gate: ReadingOutlook) -> Self:
        return cls(
            gate=gate.gate,
            readings=gate.rules.fewest,
            earliest_seconds_to_pass=gate.earliest.total_seconds(),
            passes_within_soak=gate.passes_within_soak,
        )


class StepOutlookOut(Outgoing):
    step: int
    description: str
    variant: str = Field(description="The arm of an ab_test that it is about, else empty.")
    weight: int
    requests_per_second: float | None = Field(description="Of the candidate.")
    soak_seconds: float = Field(description="How long the step lasts at most.")
    expected_seconds: float | None = Field(description="How long it lasts; null: not foreseen.")
    margin: float | None = Field(description="The ratio to stable that ends it, if it has one.")
    seconds_before: float = Field(description="Of earlier steps, whose requests prove it as well.")
    warm_up_seconds: float = Field(description="How much of this step is no evidence yet.")
    summary: str
    gates: list[GateOutlookOut]
    reading_gates: list[ReadingOutlookOut]

    @classmethod
    def from_domain(cls, step: StepOutlook) -> Self:
        return cls(
            step=step.step,
            description=step.doing,
            variant=step.variant,
            weight=step.weight,
            requests_per_second=step.requests_per_second,
            soak_seconds=step.soak.total_seconds(),
            expected_seconds=step.expected,
            margin=step.margin,
            seconds_before=step.proven_before,
            warm_up_seconds=step.warm_up,
            summary=step.summary,
            gates=[GateOutlookOut.from_domain(gate) for gate in step.gates],
            reading_gates=[ReadingOutlookOut.from_domain(gate) for gate in step.readings],
        )


class GateTrafficOut(Outgoing):
    """What a gate counts of stable in the window, by its own source."""

    gate: str
    observations_per_second: float
    at_bounds: list[AtBoundOut] = Field(
        description="At the bounds that stable's history gives, where the gate names none."
    )

    @classmethod
    def from_domain(cls, gate: str, rates: BaseRates) -> Self:
        return cls(
            gate=gate,
            observations_per_second=rates.per_second,
            at_bounds=AtBoundOut.each(rates.bounds, rates.bad) if rates.bounds else [],
        )


class TrafficSeenOut(Outgoing):
    """What stable did in the window; null is what was not counted."""

    as_of: datetime
    window_seconds: float
    requests: int | None
    requests_per_second: float | None
    bad_fractions: dict[str, float | None] = Field(
        description="By gate; null also where it counts at several bounds, see gates."
    )
    gates: list[GateTrafficOut] = Field(description="Those of which something was counted.")

    @classmethod
    def from_domain(cls, seen: TrafficSeen, gates: Sequence[Gate], as_of: datetime) -> Self:
        return cls(
            as_of=as_of,
            window_seconds=seen.window.total_seconds(),
            requests=seen.requests,
            requests_per_second=seen.requests_per_second,
            bad_fractions={gate.name: _one_fraction(seen, gate) for gate in gates},
            gates=[
                GateTrafficOut.from_domain(gate.name, seen.rates[gate.name])
                for gate in gates
                if gate.name in seen.rates
            ],
        )


def _one_fraction(seen: TrafficSeen, gate: Gate) -> float | None:
    rates = seen.rates.get(gate.name)
    return rates.bad[0] if rates is not None and not rates.bounds else None


class AnalysisPlanOut(Outgoing):
    """What is to be expected of each step that gates watch."""

    traffic: TrafficSeenOut
    gates: list[GateBody]
    phi: float
    phi_source: str = Field(description="Where phi comes from.")
    warm_up_seconds: float
    steps: list[StepOutlookOut]
