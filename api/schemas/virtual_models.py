"""Virtual models and their backends."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from api.schemas.fields import Incoming, Outgoing, Prose, printable
from api.schemas.traffic import Asked, Whole
from domain.virtual_models import (
    MOST_PRIORITY,
    MOST_WEIGHT,
    BackendStatus,
    BackendWish,
    VirtualModel,
    VirtualModelBackend,
    VirtualModelStatus,
    status_of,
)

# Longer than any that the rules of the domain allow: those have words for what is wrong.
_Text = Annotated[str, Field(max_length=1000), AfterValidator(printable)]
_OVERRIDE = "The name that the provider knows the model by; null sends the virtual model's own."
_WEIGHT = f"Its share among the backends of its priority, from 0 to {MOST_WEIGHT:,}."
_PRIORITY = (
    f"From 0 to {MOST_PRIORITY}. Requests go to the lowest number in use; what fails there is "
    "tried once with each higher one."
)


class VirtualModelIn(Incoming):
    name: _Text = Field(description="What clients ask the gateway for, such as claude-4-sonnet.")
    description: Prose = ""


class VirtualModelPatch(Incoming):
    description: Prose


class BackendIn(Asked):
    ai_service_backend_name: _Text | None = Field(
        default=None, description="The AIServiceBackend in the cluster. Required."
    )
    ai_service_backend_id: _Text | None = Field(
        default=None, description="Another name of `ai_service_backend_name`."
    )
    ai_service_backend_namespace: _Text | None = Field(
        default=None, description="Its namespace; the gateway's where null."
    )
    model_name_override: _Text | None = Field(default=None, description=_OVERRIDE)
    weight: Whole = Field(default=1, description=_WEIGHT)
    priority: Whole = Field(default=0, description=_PRIORITY)

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        given = {self.ai_service_backend_name, self.ai_service_backend_id} - {None}
        if not given:
            raise ValueError("ai_service_backend_name is required")
        if len(given) > 1:
            raise ValueError("ai_service_backend_name and ai_service_backend_id differ")
        return self

    def to_domain(self, gateway_namespace: str) -> BackendWish:
        return BackendWish(
            name=self.ai_service_backend_name or self.ai_service_backend_id or "",
            namespace=self.ai_service_backend_namespace or gateway_namespace,
            model_name_override=self.model_name_override,
            weight=self.weight,
            priority=self.priority,
        )


class BackendPatch(Asked):
    """What is absent stays. A null override is one that is taken away."""

    weight: Whole | None = Field(default=None, description=_WEIGHT)
    priority: Whole | None = Field(default=None, description=_PRIORITY)
    model_name_override: _Text | None = Field(default=None, description=_OVERRIDE)

    @property
    def changes_override(self) -> bool:
        return "model_name_override" in self.model_fields_set


class BackendOut(Outgoing):
    id: UUID
    ai_service_backend_name: str
    ai_service_backend_namespace: str
    model_name_override: str | None
    weight: int
    priority: int
    status: BackendStatus = Field(
        description="Inactive at weight 0 beside others of its priority: never asked."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, backend: VirtualModelBackend, model: VirtualModel) -> Self:
        return cls(
            id=backend.id,
            ai_service_backend_name=backend.name,
            ai_service_backend_namespace=backend.namespace,
            model_name_override=backend.model_name_override,
            weight=backend.weight,
            priority=backend.priority,
            status=status_of(backend, model.backends),
            created_at=backend.created_at,
            updated_at=backend.updated_at,
        )


class VirtualModelOut(Outgoing):
    id: UUID
    name: str
    description: str
    status: VirtualModelStatus = Field(
        description="Empty without backends: the gateway answers 404 to its name."
    )
    namespace: str
    ai_gateway_route_name: str
    backends: list[BackendOut]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, model: VirtualModel) -> Self:
        return cls(
            id=model.id,
            name=model.name,
            description=model.description,
            status=model.status,
            namespace=model.namespace,
            ai_gateway_route_name=model.route_name,
            backends=[BackendOut.from_domain(one, model) for one in model.backends],
            created_at=model.created_at,
            updated_at=model.updated_at,
        )
