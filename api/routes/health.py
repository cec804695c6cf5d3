"""Is the process alive, can it work, and what has it done."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.contract import problems
from api.errors import NotReady
from api.meters import Meters
from api.parts import WithParts
from api.rendering import rendered
from api.schemas.health import Health
from domain.errors import TidegateError

router = APIRouter(tags=["process"])
PATIENCE_SECONDS = 3.0


@router.get(
    "/healthz", response_model=Health, responses=problems(500), summary="The process is alive"
)
async def healthz() -> Response:
    return rendered(Health(status="ok"))


@router.get(
    "/readyz",
    response_model=Health,
    responses=problems(500, 503),
    summary="The database and the workflow engine answer",
)
async def readyz(parts: WithParts) -> Response:
    named = {"database": parts.registry.ready(), "temporal": parts.control.ready()}
    answers = await asyncio.gather(*(_answers(check) for check in named.values()))
    down = [name for name, up in zip(named, answers, strict=True) if not up]
    if down:
        raise NotReady(*down)
    return rendered(Health(status="ok"))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(500)},
    summary="Prometheus metrics of this process, and how the registry stands",
)
async def metrics(request: Request, parts: WithParts) -> Response:
    meters: Meters = request.app.state.meters
    page = generate_latest(meters.registry) + await parts.gauges.text()
    return Response(page, media_type=CONTENT_TYPE_LATEST)


async def _answers(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await check
    except (TidegateError, TimeoutError):
        return False
    return True
