"""Analysis beside rollouts: gates replayed on the past, and a plan looked at before it starts."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from api.backtests import backtest_of
from api.contract import WRITES, problems
from api.launch import compiled
from api.outlooks import require_bounded
from api.parts import ProjectId, WithParts
from api.rendering import JSON_TYPE
from api.routes import PREFIX
from api.schemas.analysis import BacktestIn, BacktestOut
from api.schemas.outlooks import AnalysisPlanIn, AnalysisPlanOut
from domain.errors import Conflict

router = APIRouter(prefix=f"{PREFIX}/analysis", tags=["analysis"])
ANSWERS = problems(*WRITES, 502)


@router.post(
    "/backtest",
    response_model=BacktestOut,
    responses=ANSWERS,
    summary="Replay stored samples through gates: when each would have fired",
    description=(
        "Of a past rollout, or of any range that the metrics store still has. Ranges that are "
        "called healthy are replayed alone: what fires there is a false alarm. Changes nothing."
    ),
)
async def backtest(parts: WithParts, project: ProjectId, body: BacktestIn) -> Response:
    asked = await backtest_of(parts, project, body, datetime.now(UTC))
    return Response(await parts.analyses.backtest(project, asked), media_type=JSON_TYPE)


@router.post(
    "/plan",
    response_model=AnalysisPlanOut,
    responses=ANSWERS,
    summary="What a rollout's steps will take and find, from the traffic seen now",
    description=(
        "The body is that of a rollout, compiled by the same rules; nothing is stored or started. "
        "Seconds are those at which half of all rollouts are there."
    ),
)
async def plan_analysis(parts: WithParts, project: ProjectId, body: AnalysisPlanIn) -> Response:
    config = await parts.registry.config(project, body.traffic_config_id)
    plan = await compiled(parts, config, body)
    require_bounded(plan, body)
    if config.stable is None:
        raise Conflict("the traffic config has no stable variant")
    found = await parts.analyses.plan(project, body, plan, config.stable, datetime.now(UTC))
    return Response(found, media_type=JSON_TYPE)
