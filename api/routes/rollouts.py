"""Rollouts: start one, look at it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response

from api.charts import MOST_POINTS
from api.contract import ENGINE, READS, problems
from api.launch import compiled, launch
from api.parts import Id, Parts, ProjectId, WithParts
from api.rendering import JSON_TYPE, rendered
from api.routes import PREFIX
from api.schemas.events import LiveOut
from api.schemas.evidence import EvidenceChartOut
from api.schemas.fields import Key
from api.schemas.fleet import ClearanceOut
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.plans import PlanOut
from api.schemas.rollouts import Links, PlanPreview, RolloutIn, RolloutOut, RolloutSummary
from domain.errors import Conflict, NotFound, PermanentError, TransientError
from domain.rollout import Phase, Rollout

router = APIRouter(prefix=PREFIX, tags=["rollouts"])
LIVE_PATIENCE_SECONDS = 2.0
IdempotencyKey = Annotated[
    Key | None,
    Header(
        alias="Idempotency-Key",
        description=(
            "Printable ASCII. A repeat with the same key and body answers with the same rollout; "
            "the same key with another body is a 422."
        ),
    ),
]


def links_of(parts: Parts, rollout: Rollout) -> Links:
    address = f"{PREFIX}/rollouts/{rollout.id}"
    return Links(
        self=address,
        events=f"{address}/events",
        evidence=f"{address}/evidence",
        traffic_config=f"{PREFIX}/traffic_configs/{rollout.config_id}",
        temporal_ui=parts.temporal_ui.link(rollout.workflow_id, rollout.run_id),
    )


async def in_full(
    parts: Parts, rollout: Rollout, live: LiveOut | None = None, silence: str | None = None
) -> RolloutOut:
    """All that there is to show of a rollout, with what its workflow says where it was asked."""
    clearance = await _clearance(parts, rollout)
    return RolloutOut.in_full(rollout, links_of(parts, rollout), clearance, live, silence)


@router.post(
    "/traffic_configs/{config_id}/rollouts",
    status_code=201,
    response_model=RolloutOut,
    responses={
        200: {"model": PlanPreview, "description": "The plan, when `dry_run` was asked for."},
        **problems(*ENGINE),
    },
    summary="Start a rollout, or show with dry_run what it would do",
)
async def start_rollout(
    parts: WithParts,
    project: ProjectId,
    config_id: Id,
    body: RolloutIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    if body.dry_run:
        config = await parts.registry.config(project, config_id)
        plan = await compiled(parts, config, body)
        return rendered(PlanPreview(plan=PlanOut.from_domain(plan)))
    rollout = await launch(parts, project, config_id, body, idempotency_key)
    shown = await in_full(parts, rollout)
    return rendered(shown, status=201, headers={"Location": shown.links.self})


@router.get(
    "/rollouts",
    response_model=Listed[RolloutSummary],
    responses=problems(*READS),
    summary="List rollouts, the newest first",
)
async def list_rollouts(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    traffic_config_id: UUID | None = None,
    phase: Phase | None = None,
) -> Response:
    found, total = await parts.registry.rollouts(
        project, page, config_id=traffic_config_id, phase=phase
    )
    items = [RolloutSummary.from_domain(rollout, links_of(parts, rollout)) for rollout in found]
    return rendered(
        Listed[RolloutSummary](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/rollouts/{rollout_id}",
    response_model=RolloutOut,
    responses=problems(*READS),
    summary="One rollout: its plan, how far it is, and what it says of itself right now",
)
async def get_rollout(
    parts: WithParts,
    project: ProjectId,
    rollout_id: Id,
    live: Annotated[bool, Query(description="Also ask the running workflow.")] = True,
) -> Response:
    rollout = await parts.registry.rollout(project, rollout_id)
    view, silence = (
        await _live(parts, rollout) if live and not rollout.phase.is_final else (None, None)
    )
    return rendered(await in_full(parts, rollout, view, silence))


@router.get(
    "/rollouts/{rollout_id}/evidence",
    response_model=EvidenceChartOut,
    responses=problems(*READS, 409),
    summary="What each verdict was over time, for a chart",
    description=(
        "Recomputed from the stored intervals. The last moment at each step and weight stays, "
        "and each at which a verdict changed, even where that makes more than `points`."
    ),
)
async def rollout_evidence(
    parts: WithParts,
    project: ProjectId,
    rollout_id: Id,
    points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="Moments a series.")] = 200,
) -> Response:
    rollout = await parts.registry.rollout(project, rollout_id)
    return Response(await parts.charts.chart(rollout, points), media_type=JSON_TYPE)


async def _clearance(parts: Parts, rollout: Rollout) -> ClearanceOut | None:
    """What the fleet would say to the rollout; None where it is not asked."""
    if not rollout.asks_the_fleet:
        return None
    group = rollout.plan.group
    try:
        policies = await parts.fleet.policies(rollout.project_id, group)
    except (TransientError, NotFound) as error:
        return ClearanceOut.withheld(group, str(error))
    return ClearanceOut.of(rollout.id, policies, datetime.now(UTC))


async def _live(parts: Parts, rollout: Rollout) -> tuple[LiveOut | None, str | None]:
    """What the workflow says, or why it says nothing: the projection is shown in any case."""
    try:
        async with asyncio.timeout(LIVE_PATIENCE_SECONDS):
            view = await parts.control.describe(rollout)
    except Conflict as error:
        return None, str(error)
    except (TimeoutError, TransientError, PermanentError):
        return None, "the workflow engine does not answer"
    if view is None:
        return None, "no workflow is walking this rollout right now"
    return LiveOut.from_domain(view), None
