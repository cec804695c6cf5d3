"""Traffic configs and their variants, and what people ask of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, WithJsonSchema

from api.schemas.fields import Incoming, Name, Outgoing, Prose, Seconds, whole
from api.schemas.gate_templates import MOST_TEMPLATES, TemplateUseBody
from api.schemas.gates import AnyGateBody, gate_body
from api.schemas.operations import OperationOut
from api.schemas.plans import MOST_LISTED, PoliciesBody
from domain.division import CANARY_WEIGHTS, STABLE
from domain.names import LABEL_LENGTH, VARIANT
from domain.registry import (
    DEFAULT_ROLLBACK_WINDOW,
    ConfigStatus,
    Role,
    TrafficConfig,
    TrafficStrategy,
    TrafficVariant,
    VariantStatus,
)
from domain.traffic import FULL

ANYBODY = "api"
# The rules of weights and names are the domain's, and their violation a 400: here they are only
# read and told.
Whole = Annotated[int, Field(strict=True, ge=-(2**31), le=2**31 - 1)]
Percent = Annotated[Whole, WithJsonSchema(whole(0, FULL))]
CanaryPercent = Annotated[Whole, WithJsonSchema(whole(CANARY_WEIGHTS[0], CANARY_WEIGHTS[-1]))]
VariantName = Annotated[
    Name,
    Field(json_schema_extra={"pattern": f"^{VARIANT.pattern}$", "maxLength": LABEL_LENGTH}),
]


class Asked(Incoming):
    """Who asks for a change, and why. Both are kept with the operation."""

    actor: Name = Field(default=ANYBODY, description="Who asks; kept with the operation.")
    reason: Prose = Field(default="", description="Why; kept with the operation.")


class TrafficConfigIn(Incoming):
    inference_service_id: UUID
    strategy: TrafficStrategy = TrafficStrategy.CANARY
    stable_version_id: UUID | None = Field(
        default=None,
        description=(
            "A version that the inference service serves; required where it serves several."
        ),
    )
    stable_variant_name: VariantName = Field(
        default=STABLE, description="What the stable variant is called, such as `blue`."
    )
    default_gates: list[AnyGateBody] | None = Field(default=None, max_length=MOST_LISTED)
    default_gate_templates: list[TemplateUseBody] = Field(
        default_factory=list,
        max_length=MOST_TEMPLATES,
        description="Whose gates hold beside `default_gates`; looked up anew by each rollout.",
    )
    default_policies: PoliciesBody | None = None
    rollback_window_seconds: Seconds = DEFAULT_ROLLBACK_WINDOW.total_seconds()


class TrafficConfigPatch(Incoming):
    """What is left out stays; a null takes a default away."""

    strategy: TrafficStrategy | None = None
    paused: bool | None = Field(
        default=None,
        description="A paused config takes no change but a rollback; a rollout pauses with it.",
    )
    default_gates: list[AnyGateBody] | None = Field(default=None, max_length=MOST_LISTED)
    default_gate_templates: list[TemplateUseBody] | None = Field(
        default=None,
        max_length=MOST_TEMPLATES,
        description="Whose gates hold beside `default_gates`; looked up anew by each rollout.",
    )
    default_policies: PoliciesBody | None = None
    rollback_window_seconds: Seconds | None = Field(
        default=None, description="How long a variant that lost its traffic stays warm."
    )


class VariantIn(Asked):
    variant_name: VariantName = Field(description="Such as `canary`, `variant_b` or `green`.")
    model_version_id: UUID
    weight: Percent = Field(default=0, description="Percent, 0 to 100, taken from stable.")


class VariantPatch(Asked):
    weight: Percent | None = Field(default=None, description="Percent, 0 to 100.")
    variant_name: VariantName | None = Field(
        default=None, description="What to call it from now on."
    )


class WeightsPatch(Asked):
    weights: dict[VariantName, Percent] = Field(
        max_length=MOST_LISTED,
        description=(
            "Percent by variant. Without stable it takes the rest; those not named keep theirs."
        ),
    )


class CanaryIn(Asked):
    model_version_id: UUID
    initial_weight: CanaryPercent = Field(
        default=10,
        description=f"Percent, {CANARY_WEIGHTS[0]} to {CANARY_WEIGHTS[-1]}.",
    )


class CanaryWeightPatch(Asked):
    weight: Percent = Field(description="Percent, 0 to 100.")


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
    retire_at: datetime | None = Field(description="Until when it is kept for an instant way back.")
    created_at: datetime
    updated_at: datetime

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
            retire_at=variant.retire_at,
            created_at=variant.created_at,
            updated_at=variant.updated_at,
        )


class Variants(Outgoing):
    config_id: UUID
    variants: Sequence[TrafficVariantOut]
    total: int


class TrafficConfigOut(Outgoing):
    """A traffic config. `operation` is what the call has done, null where it only looked."""

    id: UUID
    inference_service_id: UUID
    inference_service_name: str
    strategy: TrafficStrategy
    status: ConfigStatus
    status_reason: str
    paused: bool
    default_gates: list[AnyGateBody] | None
    default_gate_templates: list[TemplateUseBody]
    default_policies: PoliciesBody | None
    rollback_window_seconds: float
    namespace: str
    ai_gateway_route_name: str
    variants: list[TrafficVariantOut]
    operation: OperationOut | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, config: TrafficConfig, operation: OperationOut | None = None) -> Self:
        gates, policies = config.default_gates, config.default_policies
        return cls(
            id=config.id,
            inference_service_id=config.inference_service_id,
            inference_service_name=config.inference_service_name,
            strategy=config.strategy,
            status=config.status,
            status_reason=config.status_reason,
            paused=config.paused,
            default_gates=None if gates is None else [gate_body(gate) for gate in gates],
            default_gate_templates=[
                TemplateUseBody.from_domain(use) for use in config.default_gate_templates
            ],
            default_policies=None if policies is None else PoliciesBody.from_domain(policies),
            rollback_window_seconds=config.rollback_window.total_seconds(),
            namespace=config.namespace,
            ai_gateway_route_name=config.route_name,
            variants=[TrafficVariantOut.from_domain(variant) for variant in config.variants],
            operation=operation,
            created_at=config.created_at,
            updated_at=config.updated_at,
        )
