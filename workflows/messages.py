"""What goes into workflows and comes out. Wire types: they only grow, new fields have defaults."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.operations import Operation
from domain.plan import Plan, Variant
from domain.rollout import Phase
from domain.traffic import Route
from domain.trial_verdicts import TrialVerdict
from domain.verdicts import Verdict
from domain.workloads import Workload

TASK_QUEUE = "tidegate"
GUARDIAN_ID = "tidegate-guardian"
CARETAKER_ID = "tidegate-caretaker"


class Mode(StrEnum):
    """WALK the plan; or RECOVER: bring traffic home after a run that was cut off."""

    WALK = "walk"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutInput:
    """`promoted` tells a recovering run that the candidate is the registry's stable already.

    `chosen` is the challenger that was, where there were several.
    """

    rollout_id: UUID
    plan: Plan
    actor: str
    reason: str
    mode: Mode = Mode.WALK
    promoted: bool = False
    chosen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    phase: Phase
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a command led to."""

    phase: Phase
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """The live state of a rollout, as its query `describe` answers."""

    phase: Phase
    reason: str
    step: int
    candidate_weight: int
    verdicts: tuple[Verdict, ...] = field(default_factory=tuple)
    rollback_since: datetime | None = None
    weights: dict[str, int] = field(default_factory=dict)
    trial: TrialVerdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployServiceInput:
    """Deploy the InferenceService of an inference service; `ServeInput` is what is ordered now."""

    service_id: UUID
    workload: Workload
    deadline: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeInput:
    """Have an inference service served by `wanted`, or by nothing; `leaving` go once it is.

    With `forget`, the registry forgets the service in the end.
    """

    service_id: UUID
    wanted: Workload | None
    leaving: tuple[Workload, ...] = ()
    forget: bool = False
    deadline: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishConfigInput:
    """Give a newly created traffic config its route, with stable at 100."""

    config_id: UUID
    service_id: UUID
    route: Route
    stable: Variant
    deadline: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOrder:
    """Carry an operation out; RECOVER takes over from a run that was cut off."""

    operation: Operation
    mode: Mode = Mode.WALK


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationView:
    """How an operation is doing, as its query `describe` answers. `problem` is why it is undone."""

    doing: str
    problem: str | None = None
    detail: str = ""


def watchers_of(task_queue: str) -> str:
    """The queue of the long looks beside a queue of workflows and writes."""
    return f"{task_queue}-watchers"


def deployment_id(service_id: UUID) -> str:
    """The workflow ID under which an inference service is deployed and undeployed."""
    return f"inference-service-{service_id}"
