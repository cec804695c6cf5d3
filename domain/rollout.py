"""The life of one rollout: its phases, what people ask of it, and the events that tell it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.plan import Plan, Variant


class Phase(StrEnum):
    """Where a rollout is. The last four are final."""

    PENDING = "pending"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    CONCLUDED = "concluded"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.CONCLUDED, Phase.FAILED})


class Action(StrEnum):
    PROMOTE = "promote"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    APPROVE = "approve"
    REJECT = "reject"


class Scope(StrEnum):
    """How far one goes on: past this step, to the next weight, or all the way."""

    SKIP = "skip"
    STEP = "step"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person (or a machine) asked for, who it was and why.

    `expected_step` is the step that they were looking at, where they say so; `roles` are those that
    they act in; `variant` is the challenger that they mean, where there are several.
    """

    actor: str
    reason: str
    scope: Scope = Scope.FULL
    expected_step: int | None = None
    roles: tuple[str, ...] = ()
    variant: str = ""


class EventKind(StrEnum):
    STARTED = "started"
    STEP_STARTED = "step_started"
    DEPLOYED = "deployed"
    WEIGHTS_SET = "weights_set"
    SETTLED = "settled"
    VERDICT = "verdict"
    DECIDED = "decided"
    PAUSED = "paused"
    RESUMED = "resumed"
    COMMANDED = "commanded"
    DRIFTED = "drifted"
    METRICS_LOST = "metrics_lost"
    METRICS_BACK = "metrics_back"
    ROLLBACK_STARTED = "rollback_started"
    ROLLED_BACK = "rolled_back"
    PROMOTED = "promoted"
    RETIRED = "retired"
    DIVIDED = "divided"
    HOOK_FAILED = "hook_failed"
    RECOVERED = "recovered"
    COMPLETED = "completed"
    CONCLUDED = "concluded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a rollout's history, with what it changes in the registry.

    `key` makes the entry idempotent: recorded twice, it stands once. `run_id` is the workflow run
    that walks the rollout from now on. `weights` is what the gateway
    was seen to obey, per variant name. `promoted` names the variant that is stable from now on,
    `left` the one that is gone from the cluster.
    """

    key: str
    kind: EventKind
    message: str
    at: datetime
    phase: Phase | None = None
    step: int | None = None
    weights: dict[str, int] | None = None
    joined: Variant | None = None
    promoted: Variant | None = None
    left: Variant | None = None
    run_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry as it was recorded; `id` grows over all rollouts and orders them."""

    id: int
    rollout_id: UUID
    kind: EventKind
    message: str
    at: datetime
    step: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout as the registry knows it: the projection that the API reads.

    `candidate_weight` is what all challengers get together; `chosen` is the one that was promoted.
    """

    id: UUID
    project_id: UUID
    config_id: UUID
    plan: Plan
    phase: Phase
    phase_reason: str
    step: int
    candidate_weight: int
    actor: str
    reason: str
    workflow_id: str
    run_id: str | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    chosen: str = ""

    @property
    def asks_the_fleet(self) -> bool:
        """Whether the fleet has a say in what it does next. On the way home it asks nobody."""
        may_advance = self.phase in {Phase.PENDING, Phase.PROGRESSING, Phase.PAUSED}
        return may_advance and self.plan.asks_the_fleet


WORKFLOW_ID_PREFIX = "traffic-"


def workflow_id(config_id: UUID) -> str:
    """The one workflow ID under which the live traffic of a config may be changed."""
    return f"{WORKFLOW_ID_PREFIX}{config_id}"
