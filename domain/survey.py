"""How the whole registry stands, as a dashboard shows it, and whose tokens there are to count."""

from dataclasses import dataclass
from uuid import UUID

from domain.registry import Role
from domain.rollout import Phase
from domain.traffic import Route
from domain.verdicts import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBearer:
    """A workload under the names that people know: the model asked for, and the variant.

    `variant` is None for an inference service without a traffic config.
    """

    model: str
    variant: str | None
    workload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVariant:
    """A variant that holds a slot."""

    route: Route
    name: str
    role: Role
    version: str
    workload: str
    slot: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRollouts:
    """How many rollouts of a model are in a phase."""

    project_id: UUID
    model: str
    strategy: str
    phase: Phase
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingVerdict:
    """What a gate of a model's latest rollout said last."""

    project_id: UUID
    model: str
    gate: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All projects at one moment."""

    variants: tuple[StandingVariant, ...]
    rollouts: tuple[StandingRollouts, ...]
    verdicts: tuple[StandingVerdict, ...]
