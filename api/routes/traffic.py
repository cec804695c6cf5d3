"""Traffic configs: how the traffic of an inference service is divided."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.changes import deleted_config
from api.contract import ENGINE, READS, problems
from api.parts import Id, ProjectId, WithParts
from api.pausing import patched
from api.provision import create_config
from api.rendering import rendered
from api.routes import PREFIX
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.traffic import Asked, TrafficConfigIn, TrafficConfigOut, TrafficConfigPatch
from domain.registry import ConfigStatus, TrafficStrategy

router = APIRouter(prefix=f"{PREFIX}/traffic_configs", tags=["traffic"])


@router.post(
    "",
    status_code=201,
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Put an inference service's traffic under Tidegate",
    description=(
        "Publishes the gateway's route with stable at 100 and waits up to 10 s for it; "
        "`status` tells what became of it. A repeat for a config that is not active publishes it "
        "again."
    ),
)
async def create_traffic_config(
    parts: WithParts, project: ProjectId, body: TrafficConfigIn
) -> Response:
    config = await create_config(parts, project, body)
    return rendered(TrafficConfigOut.from_domain(config), status=201)


@router.get(
    "",
    response_model=Listed[TrafficConfigOut],
    responses=problems(*READS),
    summary="List traffic configs",
)
async def list_traffic_configs(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    *,
    inference_service_id: UUID | None = None,
    strategy: TrafficStrategy | None = None,
    status: ConfigStatus | None = None,
) -> Response:
    found, total = await parts.registry.configs(
        project, page, service_id=inference_service_id, strategy=strategy, status=status
    )
    items = [TrafficConfigOut.from_domain(config) for config in found]
    return rendered(
        Listed[TrafficConfigOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/{config_id}",
    response_model=TrafficConfigOut,
    responses=problems(*READS),
    summary="One traffic config with its variants",
)
async def get_traffic_config(parts: WithParts, project: ProjectId, config_id: Id) -> Response:
    return rendered(TrafficConfigOut.from_domain(await parts.registry.config(project, config_id)))


@router.patch(
    "/{config_id}",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Change what a config is meant for, its defaults, or pause it",
    description=("Moves no traffic. Pausing pauses a rollout that runs, and unpausing resumes it."),
)
async def patch_traffic_config(
    parts: WithParts, project: ProjectId, config_id: Id, body: TrafficConfigPatch
) -> Response:
    return rendered(TrafficConfigOut.from_domain(await patched(parts, project, config_id, body)))


@router.delete(
    "/{config_id}",
    status_code=204,
    response_class=Response,
    responses=problems(*ENGINE),
    summary="Take the model's route away, and every variant but the service's own",
    description=(
        "Clients that ask the gateway for the model get a 404 from then on. The history of its "
        "rollouts goes with it; a rollout that has not ended is in the way."
    ),
)
async def delete_traffic_config(parts: WithParts, project: ProjectId, config_id: Id) -> Response:
    await deleted_config(parts, project, config_id, Asked())
    return Response(status_code=204)
