"""What can be served and where: models, versions, environments, inference services, traffic."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.gate_templates.uses import TemplateUse
from domain.names import workload_name
from domain.plan import Policies
from domain.reading_gates import AnyGate
from domain.traffic import Route
from domain.workloads import Protocol, Workload, served_as


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    id: UUID
    project_id: UUID
    name: str
    description: str = ""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One immutable model artefact: where it lies, what format it has, which runtime serves it."""

    id: UUID
    project_id: UUID
    registered_model_id: UUID
    name: str
    uri: str
    model_format: str
    runtime: str | None = None
    description: str = ""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEnvironment:
    id: UUID
    project_id: UUID
    name: str
    external_id: str | None = None
    description: str = ""
    created_at: datetime
    updated_at: datetime

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace: the external id where there is one, else the name."""
        return self.external_id or self.name


class ServiceState(StrEnum):
    """What an inference service is meant to be, and what it was last seen to be."""

    UNDEPLOYED = "undeployed"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    UNDEPLOYING = "undeploying"
    FAILED = "failed"


MOVING = frozenset({ServiceState.DEPLOYING, ServiceState.UNDEPLOYING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A version that an inference service serves."""

    model_version_id: UUID
    model_version_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceService:
    """The name under which clients ask for a model, and the versions that are deployed for it.

    `served_models` are in the order in which they were given; the first one leads. `leaving` are
    the workloads of former versions that have not been seen gone yet.
    """

    id: UUID
    project_id: UUID
    serving_environment_id: UUID
    registered_model_id: UUID
    served_models: tuple[ServedModel, ...]
    name: str
    description: str = ""
    protocol: Protocol = Protocol.OPENAI
    desired_state: ServiceState
    current_state: ServiceState
    state_reason: str = ""
    leaving: tuple[Workload, ...] = ()
    created_at: datetime
    updated_at: datetime

    @property
    def model_version_ids(self) -> tuple[UUID, ...]:
        return tuple(served.model_version_id for served in self.served_models)

    @property
    def is_moving(self) -> bool:
        """Whether a change of what stands on the cluster has not ended, as far as is known."""
        return self.current_state in MOVING


class Role(StrEnum):
    """What a variant is to its traffic config. Exactly one active variant is the stable one."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    RETIRING = "retiring"


class VariantStatus(StrEnum):
    """ACTIVE carries traffic; INACTIVE stands by at weight 0; of a RETIRED one the row is left."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficVariant:
    """A variant as the registry knows it: the weight that the gateway was last seen to obey.

    `joined_at` is since when it holds its slot. One that is kept for an instant way back is retired
    at `retire_at`. `superseded_at` is when a newcomer took its place as stable; one that was gone
    back from has no such moment.
    """

    id: UUID
    config_id: UUID
    name: str
    role: Role
    model_version_id: UUID
    model_version_name: str
    workload: str
    slot: int
    weight: int
    status: VariantStatus
    joined_at: datetime
    retire_at: datetime | None = None
    superseded_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def holds_slot(self) -> bool:
        """Whether it is on the cluster; its slot is its own until it has left."""
        return self.status is not VariantStatus.RETIRED


Variants = tuple[TrafficVariant, ...]


class TrafficStrategy(StrEnum):
    """What a person means to do with a config. It says how to read it, and binds nobody."""

    CANARY = "canary"
    AB_TEST = "ab_test"
    BLUE_GREEN = "blue_green"
    SHADOW = "shadow"


class ConfigStatus(StrEnum):
    PUBLISHING = "publishing"
    ACTIVE = "active"
    FAILED = "failed"


DEFAULT_ROLLBACK_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficConfig:
    """How the traffic of one inference service is divided among its variants.

    A paused one takes no change but a rollback. The defaults are those of rollouts that name no
    gates or policies. A variant that loses its traffic to a promotion or a rollback stays warm for
    `rollback_window`.
    """

    id: UUID
    project_id: UUID
    inference_service_id: UUID
    inference_service_name: str
    protocol: Protocol = Protocol.OPENAI
    strategy: TrafficStrategy
    status: ConfigStatus
    status_reason: str = ""
    paused: bool = False
    default_gates: tuple[AnyGate, ...] | None = None
    default_gate_templates: tuple[TemplateUse, ...] = ()
    default_policies: Policies | None = None
    rollback_window: timedelta = DEFAULT_ROLLBACK_WINDOW
    namespace: str
    route_name: str
    variants: Variants
    created_at: datetime
    updated_at: datetime

    @property
    def stable(self) -> TrafficVariant | None:
        return next((v for v in self.variants if v.role is Role.STABLE), None)

    @property
    def route(self) -> Route:
        """The route at the gateway; clients ask for the model by the inference service's name."""
        return Route(
            project_id=self.project_id,
            config_id=self.id,
            namespace=self.namespace,
            name=self.route_name,
            model=self.inference_service_name,
            protocol=self.protocol,
        )

    def workload(self, version: ModelVersion, name: str | None = None) -> Workload:
        """What serves a version under this config; our rule names it unless it has a name."""
        service_id, service = self.inference_service_id, self.inference_service_name
        return Workload(
            name=name or workload_name(service, version.name, service_id, version.id),
            namespace=self.namespace,
            project_id=self.project_id,
            service_id=service_id,
            version_id=version.id,
            uri=version.uri,
            model_format=version.model_format,
            runtime=version.runtime,
            protocol=self.protocol,
            served_as=served_as(self.protocol, service),
        )
