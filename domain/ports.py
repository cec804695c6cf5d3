"""What the engine needs from outside. Adapters and fakes implement these.

Every method may raise the errors of `domain.errors` and no others. Writes are absolute: running
one twice is the same as running it once.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.evidence.counters import Reading, Series
from domain.gates import Source
from domain.hooks import Hook
from domain.metrics import Grid, MeasuredVariant, Measurement, Tokens
from domain.notices import Answer, Notice
from domain.operations import Ending, Operation
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    RegisteredModel,
    ServiceState,
    ServingEnvironment,
    TrafficConfig,
    TrafficStrategy,
)
from domain.rollout import Entry, Event, Phase, Rollout
from domain.survey import Standing, TokenBearer
from domain.traffic import (
    NO_EXTRAS,
    Drift,
    Extras,
    Ownership,
    Place,
    Route,
    RouteState,
    Slots,
)
from domain.trial import RewardCounters
from domain.virtual_models import VirtualModel
from domain.workloads import Workload, WorkloadStatus


class WorkloadRuntime(Protocol):
    """Runs model versions: KServe."""

    async def deploy(self, workload: Workload) -> None:
        """Have this workload exist. Raises Refused where another spec stands under its name."""

    async def status(self, workload: Workload, replicas: int | None = None) -> WorkloadStatus:
        """How it is doing; with `replicas`, it is ready once so many of them are."""

    async def scale(self, workload: Workload, replicas: int) -> None:
        """Have at least so many replicas. Raises NotYet for a workload that is not there."""

    async def drift(self, workload: Workload, replicas: int | None) -> Drift | None:
        """The first difference to what was deployed, and who made it; None if it is not there.

        `replicas` is what it was scaled to; None: how many there are is not asked.
        """

    async def remove(self, workload: Workload) -> None:
        """Have this workload gone. Removing what is not there is success."""


class TrafficRouter(Protocol):
    """Splits traffic: Envoy AI Gateway."""

    async def connect(self, route: Route, workload: Workload) -> None:
        """Make the workload known to the gateway. Raises NotYet until the gateway accepts it."""

    async def disconnect(self, route: Route, workload: Workload) -> None:
        """Make the gateway forget the workload, once no slot names it. Raises NotYet before."""

    async def observe(self, route: Route) -> RouteState | None:
        """The route as it stands, None where there is none."""

    async def write(
        self,
        route: Route,
        slots: Slots,
        owner: Ownership,
        *,
        extras: Extras = NO_EXTRAS,
        insist: bool = False,
    ) -> None:
        """Have the route stand exactly so, compared and swapped; extras that are left out go.

        Raises FencedOut when a newer owner has written, Contended when somebody wrote in between,
        Conflict when another manager holds the rules; `insist` takes them back from it.
        """

    async def drift(
        self, route: Route, expected: Slots, extras: Extras = NO_EXTRAS
    ) -> Drift | None:
        """The first difference to what was written, with the manager that made it."""

    async def remove(self, route: Route, owner: Ownership) -> None:
        """Have the route gone. Removing what is not there is success."""


class Notifier(Protocol):
    """Calls hooks: HTTP."""

    async def call(self, hook: Hook, notice: Notice) -> Answer:
        """Send the notice to the hook, once, within the hook's timeout.

        Raises Unreachable when it did not answer or had trouble itself, Forbidden when the host,
        or where its name leads now, is not allowed, Refused when it redirects and cannot be
        followed.
        """


class CounterSource(Protocol):
    """Reads raw counters of places of a route."""

    async def read(
        self, route: Route, source: Source, *, candidate: Place, stable: Place, window: timedelta
    ) -> Reading:
        """The samples of the last `window` of each. Raises Unreachable when the store is down."""

    async def read_arms(
        self,
        route: Route,
        source: Source,
        *,
        arms: Mapping[str, Sequence[Place]],
        window: timedelta,
    ) -> dict[str, tuple[Series, ...]]:
        """As `read`, for any number of arms, each of which may be counted at several places."""

    async def read_rewards(
        self, counters: RewardCounters, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        """What users of the answers have counted for each arm, by the workload that serves it."""


class MetricsStore(Protocol):
    """Measures variants for people: charts and comparisons. Gates read a CounterSource.

    Every question raises Unreachable when the store is down, Refused when it is too much for it.
    """

    def counted_as(self, route: Route, slot: int) -> str:
        """The name that the gateway's statistics carry for a slot of a route."""

    async def measure(
        self, variant: MeasuredVariant, *, at: datetime, window: timedelta
    ) -> Measurement:
        """What the variant did in the window before `at`, whoever held its slot in it."""

    async def chart(self, variant: MeasuredVariant, grid: Grid) -> tuple[Measurement, ...]:
        """One measurement a point, each of the step before it. The grid ends at a whole second."""

    async def tokens(
        self, workloads: Sequence[str], *, at: datetime, window: timedelta
    ) -> Mapping[str, Tokens]:
        """The tokens of each of these workloads in the window before `at`."""


class Journal(Protocol):
    """Writes what happened: events, and the projection of rollouts and variants."""

    async def record(self, rollout_id: UUID, entries: Sequence[Entry]) -> None:
        """Append the entries and apply what they changed, in one transaction, each key once."""

    async def service_state(
        self, service_id: UUID, state: ServiceState, reason: str, gone: Sequence[str] = ()
    ) -> None:
        """What the service was seen to be; workloads of the names `gone` are no longer leaving."""

    async def forget_service(self, service_id: UUID) -> None:
        """Delete a service that is meant to be undeployed. One that is not there is success."""

    async def config_status(self, config_id: UUID, status: ConfigStatus, reason: str) -> None: ...

    async def operation_ended(self, operation_id: UUID, ending: Ending) -> None:
        """Take down the phase that an operation has reached; the final ones stand for good.

        What is done changes the registry in the same transaction, once.
        """


class Patrol(Protocol):
    """What the guardian looks at."""

    async def unfinished(self) -> Sequence[Rollout]:
        """The rollouts, of all projects, whose phase is not final."""


class Chores(Protocol):
    """What the caretaker looks at, in all projects."""

    async def running(self) -> Sequence[Operation]:
        """The operations that have not ended."""

    async def due(self) -> Sequence[TrafficConfig]:
        """The configs at rest that keep a variant whose time to retire has come."""


class RunDirectory(Protocol):
    """Which workflow runs are alive: Temporal."""

    async def is_running(self, workflow_id: str) -> bool:
        """Whether it has a run that has not closed, as of now."""

    async def listed(self) -> frozenset[str]:
        """The IDs under which traffic is being changed, seconds out of date but cheap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    limit: int
    offset: int


class VirtualModelRegistry(Protocol):
    """Which backends answer to which name. What changes a route comes in with an operation."""

    async def create_virtual_model(self, model: VirtualModel) -> None:
        """Store one without backends. A name that the gateway serves already: AlreadyExists."""

    async def virtual_model(self, project_id: UUID, name: str) -> VirtualModel: ...
    async def virtual_models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[VirtualModel], int]: ...
    async def describe_virtual_model(
        self, project_id: UUID, model_id: UUID, description: str, at: datetime
    ) -> None: ...


class Registry(VirtualModelRegistry, Protocol):
    """The registry as the API needs it. Everything is scoped by project.

    Reads of a thing that is not in the project raise NotFound. Creating under a taken name raises
    AlreadyExists. `change_…` stores `after` if the thing is still as it was read `before`, else it
    raises Outdated. Deleting what something refers to raises InUse that names the one.
    """

    async def create_model(self, model: RegisteredModel) -> None: ...
    async def model(self, project_id: UUID, model_id: UUID) -> RegisteredModel: ...
    async def models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[RegisteredModel], int]: ...

    async def change_model(self, before: RegisteredModel, after: RegisteredModel) -> None: ...
    async def delete_model(self, project_id: UUID, model_id: UUID) -> None: ...

    async def create_version(self, version: ModelVersion) -> None: ...
    async def version(self, project_id: UUID, version_id: UUID) -> ModelVersion: ...
    async def versions(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        model_id: UUID | None = None,
    ) -> tuple[Sequence[ModelVersion], int]: ...

    async def change_version(self, before: ModelVersion, after: ModelVersion) -> None:
        """Store another description: the rest of a version is immutable."""

    async def delete_version(self, project_id: UUID, version_id: UUID) -> None: ...

    async def create_environment(self, environment: ServingEnvironment) -> None: ...
    async def environment(self, project_id: UUID, environment_id: UUID) -> ServingEnvironment: ...
    async def environments(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[ServingEnvironment], int]: ...

    async def change_environment(
        self, before: ServingEnvironment, after: ServingEnvironment
    ) -> None:
        """Raises InUse for another namespace while an inference service stands in this one."""

    async def delete_environment(self, project_id: UUID, environment_id: UUID) -> None: ...

    async def create_service(self, service: InferenceService) -> None: ...
    async def service(self, project_id: UUID, service_id: UUID) -> InferenceService: ...
    async def services(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        environment_id: UUID | None = None,
        model_id: UUID | None = None,
        desired_state: ServiceState | None = None,
        current_state: ServiceState | None = None,
    ) -> tuple[Sequence[InferenceService], int]: ...

    async def change_service(
        self, before: InferenceService, after: InferenceService, *, unused: bool
    ) -> None:
        """With `unused`, raises InUse while the service has a traffic config."""

    async def delete_service(self, service: InferenceService) -> None:
        """Raises Outdated where the service is not as it was read."""

    async def create_config(self, config: TrafficConfig) -> None:
        """Store the config and its variants. A service has one config: a second AlreadyExists.

        Raises Conflict where the service is not meant to be deployed, Outdated where it does not
        serve stable's version (any more).
        """

    async def config(self, project_id: UUID, config_id: UUID) -> TrafficConfig: ...
    async def configs(
        self,
        project_id: UUID,
        page: Page,
        *,
        service_id: UUID | None = None,
        strategy: TrafficStrategy | None = None,
        status: ConfigStatus | None = None,
    ) -> tuple[Sequence[TrafficConfig], int]: ...

    async def set_config(self, config: TrafficConfig) -> None:
        """Keep what a person sets: strategy, pause, defaults, rollback window. Nothing else."""

    async def begin(self, operation: Operation) -> None:
        """Store an operation as running: from now on nothing else may change its subject.

        Raises AlreadyRunning while another operation or a rollout of the subject has not ended,
        Outdated where the subject is no longer what the operation changes from.
        """

    async def discard(self, operation: Operation) -> None:
        """Forget a running operation whose workflow never started."""

    async def operation(self, project_id: UUID, operation_id: UUID) -> Operation: ...
    async def operations(
        self, project_id: UUID, page: Page, *, subject_id: UUID | None = None
    ) -> tuple[Sequence[Operation], int]: ...

    async def live_operation(self, project_id: UUID, subject_id: UUID) -> Operation | None: ...

    async def create_rollout(
        self, rollout: Rollout, *, idempotency_key: str | None, request_hash: str
    ) -> Rollout:
        """Store a pending rollout, or give back the one that the key already named.

        The same key with another request hash raises Conflict; a config whose last rollout has
        not ended raises AlreadyRunning.
        """

    async def discard_rollout(self, project_id: UUID, rollout_id: UUID) -> None:
        """Forget a pending rollout that never started."""

    async def rollout(self, project_id: UUID, rollout_id: UUID) -> Rollout: ...
    async def rollouts(
        self,
        project_id: UUID,
        page: Page,
        *,
        config_id: UUID | None = None,
        phase: Phase | None = None,
    ) -> tuple[Sequence[Rollout], int]: ...

    async def live_rollout(self, project_id: UUID, config_id: UUID) -> Rollout | None: ...

    async def events(
        self, project_id: UUID, rollout_id: UUID, *, after: int, limit: int
    ) -> Sequence[Event]: ...

    def follow(self, project_id: UUID, rollout_id: UUID, *, after: int) -> AsyncIterator[Event]:
        """The events behind `after` and each later one as it is recorded, without end."""

    async def ready(self) -> None:
        """Answer, or raise Unreachable."""


class Survey(Protocol):
    """Looks over the registry in the ways that metrics need."""

    async def service_named(self, project_id: UUID, name: str) -> UUID | None:
        """The inference service of this name."""

    async def configs_with(self, project_id: UUID, variants: Sequence[str]) -> Sequence[UUID]:
        """Traffic configs that have a variant of each of these names; two at most."""

    async def token_bearers(self, project_id: UUID, since: datetime) -> Sequence[TokenBearer]:
        """Everything whose tokens may have been counted since then, gone or not."""

    async def standing(self, since: datetime) -> Standing:
        """How all projects stand: weights, and the rollouts that began after `since` or go on."""
