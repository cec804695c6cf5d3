"""What variants did, in numbers; null is what nobody can know."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.fields import Outgoing
from domain.metrics import Comparison, Figures
from domain.registry import Role, VariantStatus

Points = list[tuple[int, float | None]]
Millis = Annotated[float | None, Field(description="Milliseconds.")]


class FiguresOut(Outgoing):
    """Numbers of one variant in its window. Null where nothing was counted: never a zero."""

    requests: int | None = Field(description="Answers that the gateway saw, retried ones included.")
    errors: int | None = Field(description="Those of the requests that were answered with 5xx.")
    requests_per_second: float | None
    error_rate: float | None = Field(description="Errors over requests, 0 to 1.")
    latency_p50_ms: Millis
    latency_p95_ms: Millis
    latency_p99_ms: Millis
    time_to_first_token_p50_ms: Millis
    time_to_first_token_p95_ms: Millis
    time_to_first_token_p99_ms: Millis
    input_tokens: int | None
    output_tokens: int | None
    output_tokens_per_second: float | None


class VariantMetricsOut(FiguresOut):
    variant_name: str | None = Field(description="Null for a service without a traffic config.")
    role: Role | None
    status: VariantStatus | None
    weight: int | None
    model_version_id: UUID
    model_version_name: str
    kserve_isvc_name: str
    window_seconds: float = Field(
        description="How much of the window is its own: it ends where the variant got its slot."
    )
    reason: str | None = Field(description="Why numbers are null, where all requests are.")
    series: dict[str, Points] | None = Field(
        description=(
            "With `step`: per metric, points [unix seconds, value], the same moments for all. Each "
            "point stands for the step before it."
        )
    )


class ComparisonOut(Outgoing):
    """By metric: the variant's minus stable's, and the variant's over stable's."""

    difference: dict[str, float | None]
    ratio: dict[str, float | None]

    @classmethod
    def from_domain(cls, comparison: Comparison) -> "ComparisonOut":
        return cls(**asdict(comparison))


class ComparedVariantOut(VariantMetricsOut):
    against_stable: ComparisonOut | None = Field(description="Null for stable itself.")


class AnswerOut(Outgoing):
    as_of: datetime = Field(description="The end of the window.")
    window_seconds: float
    max_age_seconds: int = Field(description="For so long the same answer may be given again.")


class ServiceMetricsOut(AnswerOut):
    inference_service_id: UUID
    inference_service_name: str
    traffic_config_id: UUID | None
    step_seconds: float | None


class DeploymentMetricsOut(ServiceMetricsOut):
    variants: list[VariantMetricsOut]


class ComparisonMetricsOut(ServiceMetricsOut):
    stable: VariantMetricsOut | None
    variants: list[ComparedVariantOut]


class GroupBy(StrEnum):
    MODEL = "model"
    VARIANT = "variant"
    PROJECT = "project"


class UsageOut(Outgoing):
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cost: dict[str, float] | None = Field(
        description="Amounts by currency; null where no price is configured."
    )
    unpriced_models: list[str] = Field(description="Models with tokens that no price is set for.")


class TokenGroupOut(UsageOut):
    project_id: UUID
    model: str | None
    variant: str | None


class TokensOut(AnswerOut):
    group_by: GroupBy
    groups: list[TokenGroupOut]
    totals: UsageOut


def charted(points: tuple[tuple[int, Figures], ...]) -> dict[str, Points]:
    """One list of points a metric."""
    return {
        name: [(moment, getattr(figures, name)) for moment, figures in points]
        for name in FiguresOut.model_fields
    }
