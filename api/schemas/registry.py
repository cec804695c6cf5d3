"""Registered models, model versions, serving environments and inference services."""

from datetime import datetime
from typing import Self
from uuid import UUID, uuid4

from pydantic import Field

from api.schemas.fields import (
    Incoming,
    Label,
    ModelFormat,
    Name,
    ObjectName,
    Outgoing,
    Prose,
    Uri,
)
from domain.names import WORKLOAD_LENGTH, require_label
from domain.registry import (
    InferenceService,
    ModelVersion,
    RegisteredModel,
    ServiceState,
    ServingEnvironment,
)


class RegisteredModelIn(Incoming):
    name: Name
    description: Prose = ""

    def to_domain(self, project_id: UUID, now: datetime) -> RegisteredModel:
        return RegisteredModel(
            id=uuid4(),
            project_id=project_id,
            name=self.name,
            description=self.description,
            created_at=now,
            updated_at=now,
        )


class RegisteredModelOut(Outgoing):
    id: UUID
    name: str
    description: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, model: RegisteredModel) -> Self:
        return cls(
            id=model.id,
            name=model.name,
            description=model.description,
            created_at=model.created_at,
            updated_at=model.updated_at,
        )


class ModelVersionIn(Incoming):
    name: Name
    uri: Uri = Field(description="Where the artefact lies, such as s3://bucket/chat/v2.")
    model_format: ModelFormat = Field(description="KServe's name of the format.")
    runtime: ObjectName | None = Field(
        default=None, description="The serving runtime; null lets KServe choose one."
    )
    description: Prose = ""

    def to_domain(self, project_id: UUID, model_id: UUID, now: datetime) -> ModelVersion:
        return ModelVersion(
            id=uuid4(),
            project_id=project_id,
            registered_model_id=model_id,
            name=self.name,
            uri=self.uri,
            model_format=self.model_format,
            runtime=self.runtime,
            description=self.description,
            created_at=now,
            updated_at=now,
        )


class ModelVersionOut(Outgoing):
    id: UUID
    registered_model_id: UUID
    name: str
    uri: str
    model_format: str
    runtime: str | None
    description: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, version: ModelVersion) -> Self:
        return cls(
            id=version.id,
            registered_model_id=version.registered_model_id,
            name=version.name,
            uri=version.uri,
            model_format=version.model_format,
            runtime=version.runtime,
            description=version.description,
            created_at=version.created_at,
            updated_at=version.updated_at,
        )


class ServingEnvironmentIn(Incoming):
    name: Name = Field(description="Its name, and its Kubernetes namespace without external_id.")
    external_id: Label | None = Field(default=None, description="The Kubernetes namespace.")
    description: Prose = ""

    def to_domain(self, project_id: UUID, now: datetime) -> ServingEnvironment:
        """Raises InvalidSpec when the namespace is no RFC 1123 label."""
        if self.external_id is None:
            require_label("name", self.name)
        else:
            require_label("external_id", self.external_id)
        return ServingEnvironment(
            id=uuid4(),
            project_id=project_id,
            name=self.name,
            external_id=self.external_id,
            description=self.description,
            created_at=now,
            updated_at=now,
        )


class ServingEnvironmentOut(Outgoing):
    id: UUID
    name: str
    external_id: str | None
    namespace: str
    description: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, environment: ServingEnvironment) -> Self:
        return cls(
            id=environment.id,
            name=environment.name,
            external_id=environment.external_id,
            namespace=environment.namespace,
            description=environment.description,
            created_at=environment.created_at,
            updated_at=environment.updated_at,
        )


class InferenceServiceIn(Incoming):
    name: Label = Field(description="The model name that clients ask the gateway for.")
    serving_environment_id: UUID
    registered_model_id: UUID
    model_version_id: UUID

    def to_domain(self, project_id: UUID, now: datetime) -> InferenceService:
        """Raises InvalidSpec when the name is no RFC 1123 label with room for KServe's suffix."""
        return InferenceService(
            id=uuid4(),
            project_id=project_id,
            serving_environment_id=self.serving_environment_id,
            registered_model_id=self.registered_model_id,
            model_version_id=self.model_version_id,
            name=require_label("name", self.name, WORKLOAD_LENGTH),
            desired_state=ServiceState.DEPLOYED,
            current_state=ServiceState.DEPLOYING,
            created_at=now,
            updated_at=now,
        )


class InferenceServiceOut(Outgoing):
    id: UUID
    name: str
    serving_environment_id: UUID
    registered_model_id: UUID
    model_version_id: UUID
    desired_state: ServiceState
    current_state: ServiceState
    state_reason: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, service: InferenceService) -> Self:
        return cls(
            id=service.id,
            name=service.name,
            serving_environment_id=service.serving_environment_id,
            registered_model_id=service.registered_model_id,
            model_version_id=service.model_version_id,
            desired_state=service.desired_state,
            current_state=service.current_state,
            state_reason=service.state_reason,
            created_at=service.created_at,
            updated_at=service.updated_at,
        )
