"""Inference services: several versions of a model, deployed under one name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID, uuid4

from pydantic import AfterValidator, ConfigDict, Field

from api.schemas.fields import (
    Immutable,
    Incoming,
    Label,
    Outgoing,
    Prose,
    without_immutable,
)
from domain.names import LABEL, WORKLOAD_LENGTH, require_label
from domain.registry import InferenceService, ModelVersion, ServiceState
from domain.serving import MOST_VERSIONS, ServiceWish, served
from domain.workloads import Protocol

DesiredState = Literal[ServiceState.DEPLOYED, ServiceState.UNDEPLOYED]


def _each_once(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) < len(ids):
        raise ValueError("must name each version once")
    return ids


VersionIds = Annotated[
    list[UUID],
    Field(
        min_length=1,
        max_length=MOST_VERSIONS,
        description="Versions of the registered model, the leading one first.",
        json_schema_extra={"uniqueItems": True},
    ),
    AfterValidator(_each_once),
]


class InferenceServiceIn(Incoming):
    name: Label = Field(
        description="The model name that clients ask the gateway for.",
        json_schema_extra={"pattern": f"^{LABEL.pattern}$", "maxLength": WORKLOAD_LENGTH},
    )
    description: Prose = ""
    serving_environment_id: UUID
    registered_model_id: UUID
    model_version_ids: VersionIds
    protocol: Protocol = Field(
        default=Protocol.OPENAI,
        description="What its models speak: `openai` goes through the AI gateway's routes, "
        "KServe's predictive `v1` and `v2` through plain ones.",
    )

    def to_domain(
        self, project_id: UUID, versions: Sequence[ModelVersion], now: datetime
    ) -> InferenceService:
        """Raises InvalidSpec when the name is no RFC 1123 label with room for KServe's suffix."""
        return InferenceService(
            id=uuid4(),
            project_id=project_id,
            serving_environment_id=self.serving_environment_id,
            registered_model_id=self.registered_model_id,
            served_models=served(versions),
            name=require_label("name", self.name, WORKLOAD_LENGTH),
            description=self.description,
            protocol=self.protocol,
            desired_state=ServiceState.DEPLOYED,
            current_state=ServiceState.DEPLOYING,
            created_at=now,
            updated_at=now,
        )


class InferenceServicePatch(Incoming):
    """What is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra=without_immutable)

    description: Prose = Field(default_factory=str)
    desired_state: DesiredState = Field(default_factory=lambda: ServiceState.DEPLOYED)
    model_version_ids: VersionIds = Field(default_factory=list)
    name: Immutable = None
    serving_environment_id: Immutable = None
    protocol: Immutable = None
    registered_model_id: Immutable = None

    def to_domain(self, versions: Sequence[ModelVersion]) -> ServiceWish:
        """`versions` are those of `model_version_ids`."""
        given = self.model_fields_set
        return ServiceWish(
            description=self.description if "description" in given else None,
            desired_state=self.desired_state if "desired_state" in given else None,
            served_models=served(versions) if "model_version_ids" in given else None,
        )


class ServedModelOut(Outgoing):
    model_version_id: UUID
    model_version_name: str
    registered_model_id: UUID
    position: int = Field(description="0 leads: what the service is asked for goes there.")


class InferenceServiceOut(Outgoing):
    id: UUID
    name: str
    description: str
    serving_environment_id: UUID
    registered_model_id: UUID
    protocol: Protocol
    served_models: list[ServedModelOut]
    desired_state: DesiredState
    current_state: ServiceState
    state_reason: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, service: InferenceService) -> Self:
        return cls(
            id=service.id,
            name=service.name,
            description=service.description,
            serving_environment_id=service.serving_environment_id,
            registered_model_id=service.registered_model_id,
            protocol=service.protocol,
            served_models=[
                ServedModelOut(
                    model_version_id=one.model_version_id,
                    model_version_name=one.model_version_name,
                    registered_model_id=service.registered_model_id,
                    position=position,
                )
                for position, one in enumerate(service.served_models)
            ],
            desired_state=_desired(service),
            current_state=service.current_state,
            state_reason=service.state_reason,
            created_at=service.created_at,
            updated_at=service.updated_at,
        )


def _desired(service: InferenceService) -> DesiredState:
    if service.desired_state is ServiceState.UNDEPLOYED:
        return ServiceState.UNDEPLOYED
    return ServiceState.DEPLOYED
