"""Traffic configs and their variants."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from api.schemas.fields import Incoming, Outgoing
from domain.registry import (
    ConfigStatus,
    Role,
    TrafficConfig,
    TrafficStrategy,
    TrafficVariant,
    VariantStatus,
)


class TrafficConfigIn(Incoming):
    inference_service_id: UUID
    strategy: TrafficStrategy = TrafficStrategy.CANARY
    stable_version_id: UUID | None = Field(
        default=None,
        description=(
            "A version that the inference service serves; required where it serves several."
        ),
    )


class TrafficVariantOut(Outgoing):
    id: UUID
    variant_name: str
    role: Role
    model_version_id: UUID
    model_version_name: str
    weight: int = Field(description="Percent of the traffic that the gateway was seen to give it.")
    slot: int = Field(description="Its position in the gateway's route.")
    status: VariantStatus
    kserve_isvc_name: str

    @classmethod
    def from_domain(cls, variant: TrafficVariant) -> Self:
        return cls(
            id=variant.id,
            variant_name=variant.name,
            role=variant.role,
            model_version_id=variant.model_version_id,
            model_version_name=variant.model_version_name,
            weight=variant.weight,
            slot=variant.slot,
            status=variant.status,
            kserve_isvc_name=variant.workload,
        )


class TrafficConfigOut(Outgoing):
    id: UUID
    inference_service_id: UUID
    inference_service_name: str
    strategy: str
    status: ConfigStatus
    status_reason: str
    namespace: str
    ai_gateway_route_name: str
    variants: list[TrafficVariantOut]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, config: TrafficConfig) -> Self:
        return cls(
            id=config.id,
            inference_service_id=config.inference_service_id,
            inference_service_name=config.inference_service_name,
            strategy=config.strategy,
            status=config.status,
            status_reason=config.status_reason,
            namespace=config.namespace,
            ai_gateway_route_name=config.route_name,
            variants=[TrafficVariantOut.from_domain(variant) for variant in config.variants],
            created_at=config.created_at,
            updated_at=config.updated_at,
        )
