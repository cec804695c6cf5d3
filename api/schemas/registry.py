"""Registered models, model versions and serving environments.

What a PATCH leaves out stays as it is. Its fields have a default that is never read, so that null
is refused wherever it is not a value of the field.
"""

from dataclasses import replace
from datetime import datetime
from typing import Self
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field

from api.schemas.fields import (
    Immutable,
    Incoming,
    Label,
    ModelFormat,
    Name,
    ObjectName,
    Outgoing,
    Prose,
    Uri,
    without_immutable,
)
from domain.names import require_label
from domain.registry import ModelVersion, RegisteredModel, ServingEnvironment
from domain.serving import later


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


class RegisteredModelPatch(Incoming):
    name: Name = Field(default_factory=str)
    description: Prose = Field(default_factory=str)

    def applied(self, model: RegisteredModel, now: datetime) -> RegisteredModel:
        changes = self.model_dump(exclude_unset=True)
        return replace(model, **changes, updated_at=later(model.updated_at, now))


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


class ModelVersionPatch(Incoming):
    model_config = ConfigDict(json_schema_extra=without_immutable)

    description: Prose = Field(default_factory=str)
    name: Immutable = None
    uri: Immutable = None
    model_format: Immutable = None
    runtime: Immutable = None

    def applied(self, version: ModelVersion, now: datetime) -> ModelVersion:
        changes = self.model_dump(exclude_unset=True)
        return replace(version, **changes, updated_at=later(version.updated_at, now))


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


class ServingEnvironmentPatch(Incoming):
    name: Name = Field(default_factory=str)
    external_id: Label | None = Field(
        default=None, description="Null makes the name the Kubernetes namespace."
    )
    description: Prose = Field(default_factory=str)

    def applied(self, environment: ServingEnvironment, now: datetime) -> ServingEnvironment:
        """Raises InvalidSpec when the namespace would be no RFC 1123 label."""
        changes = self.model_dump(exclude_unset=True)
        after = replace(environment, **changes, updated_at=later(environment.updated_at, now))
        if after.namespace != environment.namespace:
            require_label("name" if after.external_id is None else "external_id", after.namespace)
        return after


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
