"""Serving environments: the namespaces that are served from."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from api.contract import DELETES, READS, WRITES, problems
from api.parts import Id, ProjectId, WithParts
from api.rendering import rendered
from api.rewrite import until_written
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.registry import (
    ServingEnvironmentIn,
    ServingEnvironmentOut,
    ServingEnvironmentPatch,
)
from domain.registry import ServingEnvironment

router = APIRouter(prefix=f"{PREFIX}/serving_environments", tags=["serving"])


@router.post(
    "",
    status_code=201,
    response_model=ServingEnvironmentOut,
    responses=problems(*WRITES),
    summary="Name a Kubernetes namespace to serve from",
)
async def create_environment(
    parts: WithParts, project: ProjectId, body: ServingEnvironmentIn
) -> Response:
    environment = body.to_domain(project, datetime.now(UTC))
    await parts.registry.create_environment(environment)
    return rendered(ServingEnvironmentOut.from_domain(environment), status=201)


@router.get(
    "",
    response_model=Listed[ServingEnvironmentOut],
    responses=problems(*READS),
    summary="List serving environments",
)
async def list_environments(
    parts: WithParts, project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    found, total = await parts.registry.environments(project, page, name=name)
    items = [ServingEnvironmentOut.from_domain(environment) for environment in found]
    return rendered(
        Listed[ServingEnvironmentOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/{environment_id}",
    response_model=ServingEnvironmentOut,
    responses=problems(*READS),
    summary="One serving environment",
)
async def get_environment(parts: WithParts, project: ProjectId, environment_id: Id) -> Response:
    environment = await parts.registry.environment(project, environment_id)
    return rendered(ServingEnvironmentOut.from_domain(environment))


@router.patch(
    "/{environment_id}",
    response_model=ServingEnvironmentOut,
    responses=problems(*WRITES),
    summary="Change a serving environment",
    description="Its namespace stays while an inference service stands in it.",
)
async def change_environment(
    parts: WithParts, project: ProjectId, environment_id: Id, body: ServingEnvironmentPatch
) -> Response:
    async def attempt() -> ServingEnvironment:
        before = await parts.registry.environment(project, environment_id)
        if not body.model_fields_set:
            return before
        after = body.applied(before, datetime.now(UTC))
        await parts.registry.change_environment(before, after)
        return after

    return rendered(ServingEnvironmentOut.from_domain(await until_written(attempt)))


@router.delete(
    "/{environment_id}",
    status_code=204,
    responses=problems(*DELETES),
    summary="Forget a serving environment that nothing uses",
    description="The Kubernetes namespace stays.",
)
async def delete_environment(parts: WithParts, project: ProjectId, environment_id: Id) -> Response:
    await parts.registry.delete_environment(project, environment_id)
    return Response(status_code=204)
