"""Serving environments, and the inference services that are deployed into them."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Response

from api.contract import ENGINE, READS, WRITES, problems
from api.parts import Id, ProjectId, WithParts
from api.provision import create_service
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.registry import (
    InferenceServiceIn,
    InferenceServiceOut,
    ServingEnvironmentIn,
    ServingEnvironmentOut,
)

router = APIRouter(prefix=PREFIX, tags=["serving"])


@router.post(
    "/serving_environments",
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
    "/serving_environments",
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
    "/serving_environments/{environment_id}",
    response_model=ServingEnvironmentOut,
    responses=problems(*READS),
    summary="One serving environment",
)
async def get_environment(parts: WithParts, project: ProjectId, environment_id: Id) -> Response:
    environment = await parts.registry.environment(project, environment_id)
    return rendered(ServingEnvironmentOut.from_domain(environment))


@router.post(
    "/inference_services",
    status_code=201,
    response_model=InferenceServiceOut,
    responses=problems(*ENGINE),
    summary="Deploy a model version under a name",
    description=(
        "Answers while the version is still deploying; `current_state` tells how far it is. "
        "A repeat for a service that is deploying or has failed deploys it again."
    ),
)
async def create_inference_service(
    parts: WithParts, project: ProjectId, body: InferenceServiceIn
) -> Response:
    service = await create_service(parts, project, body)
    return rendered(InferenceServiceOut.from_domain(service), status=201)


@router.get(
    "/inference_services",
    response_model=Listed[InferenceServiceOut],
    responses=problems(*READS),
    summary="List inference services",
)
async def list_services(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    serving_environment_id: UUID | None = None,
) -> Response:
    found, total = await parts.registry.services(
        project, page, environment_id=serving_environment_id
    )
    items = [InferenceServiceOut.from_domain(service) for service in found]
    return rendered(
        Listed[InferenceServiceOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/inference_services/{service_id}",
    response_model=InferenceServiceOut,
    responses=problems(*READS),
    summary="One inference service, with its desired and current state",
)
async def get_service(parts: WithParts, project: ProjectId, service_id: Id) -> Response:
    return rendered(
        InferenceServiceOut.from_domain(await parts.registry.service(project, service_id))
    )
