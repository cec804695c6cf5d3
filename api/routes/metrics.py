"""What variants did: requests, errors, latency, time to first token, tokens and their cost."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.contract import READS, problems
from api.measuring import Span, read_window
from api.parts import ProjectId, WithParts
from api.rendering import rendered
from api.reports import MAX_AGE_SECONDS
from api.routes import PREFIX
from api.schemas.fields import Name
from api.schemas.metrics import (
    AnswerOut,
    ComparisonMetricsOut,
    DeploymentMetricsOut,
    GroupBy,
    TokensOut,
)
from api.tokens import TokenFilter

router = APIRouter(prefix=f"{PREFIX}/metrics", tags=["metrics"])
ANSWERS = problems(*READS, 502)
MOST_NAMES = 50
_AGE = {"Cache-Control": f"private, max-age={MAX_AGE_SECONDS}", "Vary": "Project-ID"}

Service = Annotated[Name, Path(description="The inference service's id or name.")]
Window = Annotated[
    str, Query(description="How far back: 30s, 5m, 1h, 7d; from 5s to 30d.", max_length=20)
]
Step = Annotated[
    str | None,
    Query(description="For a chart: one point each 10s, 1m, ...; at most 11000.", max_length=20),
]


async def _span(window: Window = "5m", step: Step = None) -> Span:
    return read_window(window, step)


async def _names(
    variant: Annotated[
        list[Name], Query(max_length=MOST_NAMES, description="Only these; may be repeated.")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> tuple[str, ...]:
    return tuple(dict.fromkeys(variant))


async def _filter(
    variants: Annotated[tuple[str, ...], Depends(_names)],
    model: Annotated[
        list[Name], Query(max_length=MOST_NAMES, description="As clients name it.")
    ] = [],  # noqa: B006 - FastAPI copies it
) -> TokenFilter:
    return TokenFilter(models=tuple(dict.fromkeys(model)), variants=variants)


WithSpan = Annotated[Span, Depends(_span)]
WithNames = Annotated[tuple[str, ...], Depends(_names)]


@router.get(
    "/deployments/{service}",
    response_model=DeploymentMetricsOut,
    responses=ANSWERS,
    summary="What each variant of an inference service did",
    description=(
        "Numbers of the window, and with `step` points for a chart. A variant without traffic "
        "has nulls, and a reason."
    ),
)
async def get_deployment_metrics(
    parts: WithParts, project: ProjectId, service: Service, span: WithSpan, variants: WithNames
) -> Response:
    return _aged(await parts.reports.deployment(project, service, span, variants))


@router.get(
    "/compare/{service}",
    response_model=ComparisonMetricsOut,
    responses=ANSWERS,
    summary="Variants of an inference service beside its stable one",
    description="Compares the variants that are named, or all that hold a position in the route.",
)
async def compare_variants_of(
    parts: WithParts, project: ProjectId, service: Service, span: WithSpan, variants: WithNames
) -> Response:
    return _aged(await parts.reports.comparison(project, service, span, variants))


@router.get(
    "/compare",
    response_model=ComparisonMetricsOut,
    responses=ANSWERS,
    summary="Variants beside stable, the inference service being a parameter",
    description=(
        "Without `inference_service` the one traffic config of the project is meant that has all "
        "of the variants; where there are several, name it."
    ),
)
async def compare_variants(
    parts: WithParts,
    project: ProjectId,
    span: WithSpan,
    variants: WithNames,
    inference_service: Annotated[Name | None, Query(description="Its id or name.")] = None,
) -> Response:
    return _aged(await parts.reports.comparison(project, inference_service, span, variants))


@router.get(
    "/tokens",
    response_model=TokensOut,
    responses=ANSWERS,
    summary="Tokens used, and their cost where prices are configured",
    description="Variants that have left count as long as their rollout ended in the window.",
)
async def get_token_usage(
    parts: WithParts,
    project: ProjectId,
    wanted: Annotated[TokenFilter, Depends(_filter)],
    window: Window = "1h",
    group_by: GroupBy = GroupBy.VARIANT,
) -> Response:
    return _aged(await parts.reports.tokens(project, read_window(window), wanted, group_by))


def _aged(answer: AnswerOut) -> Response:
    return rendered(answer, headers=_AGE)
