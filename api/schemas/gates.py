"""What a gate promises, as people write it and as a plan shows it."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from api.schemas.fields import Fraction, Incoming, Label
from api.schemas.reading_gates import KINDS, ReadingGateBody, require_one_kind
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.reading_gates import AnyGate, ReadingGate

_MARGIN = AgainstStable()


class AgainstStableBody(Incoming):
    """FAIL when proven above fail_ratio; PASS when proven below pass_ratio or below the floor."""

    fail_ratio: Fraction = _MARGIN.fail_ratio
    pass_ratio: Fraction = _MARGIN.pass_ratio
    floor: Fraction = _MARGIN.floor

    def to_domain(self) -> AgainstStable:
        return AgainstStable(
            fail_ratio=self.fail_ratio, pass_ratio=self.pass_ratio, floor=self.floor
        )

    @classmethod
    def from_domain(cls, margin: AgainstStable) -> Self:
        return cls(fail_ratio=margin.fail_ratio, pass_ratio=margin.pass_ratio, floor=margin.floor)


class GateBody(Incoming):
    """A gate with statistics: a fraction of requests, counted for both variants."""

    name: Label
    metric: Metric
    source: Source = Source.ENVOY
    slow_over_ms: Fraction | None = Field(
        default=None,
        description="For a time: a request is bad when it took longer. Without it a time "
        "against stable is counted at the bounds that stable's history gives.",
    )
    limit: Fraction | None = Field(
        default=None, description="The largest acceptable fraction of bad requests."
    )
    against_stable: AgainstStableBody | None = None
    alpha: Fraction = Field(default=0.05, description="Bound on the chance of a false FAIL.")
    beta: Fraction = Field(default=0.05, description="Bound on the chance of a false PASS.")
    more_than: Fraction | None = Field(
        default=None, description="For tokens: an answer is bad with more of them."
    )
    no_more_than: Fraction | None = Field(
        default=None, description="For tokens: an answer is bad with so many or fewer."
    )
    critical: bool = Field(
        default=True, description="A FAIL of one that is not pauses where another rolls back."
    )
    dry_run: bool = Field(default=False, description="Judged and shown, it decides nothing.")

    _one_kind = model_validator(mode="before")(require_one_kind)

    def to_domain(self) -> Gate:
        margin = self.against_stable
        return Gate(
            name=self.name,
            metric=self.metric,
            source=self.source,
            slow_over_ms=self.slow_over_ms,
            limit=self.limit,
            against_stable=margin.to_domain() if margin else None,
            alpha=self.alpha,
            beta=self.beta,
            more_than=self.more_than,
            no_more_than=self.no_more_than,
            critical=self.critical,
            dry_run=self.dry_run,
        )

    @classmethod
    def from_domain(cls, gate: Gate) -> Self:
        margin = gate.against_stable
        return cls(
            name=gate.name,
            metric=gate.metric,
            source=gate.source,
            slow_over_ms=gate.slow_over_ms,
            limit=gate.limit,
            against_stable=AgainstStableBody.from_domain(margin) if margin else None,
            alpha=gate.alpha,
            beta=gate.beta,
            more_than=gate.more_than,
            no_more_than=gate.no_more_than,
            critical=gate.critical,
            dry_run=gate.dry_run,
        )


# They would be parts of the names of fields in errors: see `api.problems`.
TAG_PREFIX = "gate of "
_STATISTICAL, _READING = f"{TAG_PREFIX}metric", f"{TAG_PREFIX}readings"


def _tag(given: Any) -> str:
    """Which gate is meant, by the field that says what it asks."""
    if isinstance(given, GateBody | ReadingGateBody):
        return _STATISTICAL if isinstance(given, GateBody) else _READING
    asks = isinstance(given, dict) and any(given.get(kind) is not None for kind in KINDS)
    return _READING if asks else _STATISTICAL


# What a list of gates in a spec may hold; templates are filled in to become these.
AnyGateBody = Annotated[
    Annotated[GateBody, Tag(_STATISTICAL)] | Annotated[ReadingGateBody, Tag(_READING)],
    Discriminator(_tag),
]


def gates_of(bodies: Sequence[GateBody | ReadingGateBody] | None) -> tuple[AnyGate, ...] | None:
    """The gates; None stays None, which is not the same as none at all."""
    return None if bodies is None else tuple(body.to_domain() for body in bodies)


def gate_body(gate: AnyGate) -> GateBody | ReadingGateBody:
    """The gate as it is shown."""
    if isinstance(gate, ReadingGate):
        return ReadingGateBody.from_domain(gate)
    return GateBody.from_domain(gate)
