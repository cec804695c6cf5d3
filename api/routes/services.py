"""Inference services: versions of a model that are deployed under a name."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.contract import ENGINE, READS, problems
from api.parts import Id, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.services import (
    DesiredState,
    InferenceServiceIn,
    InferenceServiceOut,
    InferenceServicePatch,
)
from api.serving import change_service, create_service, delete_service
from domain.registry import ServiceState

router = APIRouter(prefix=f"{PREFIX}/inference_services", tags=["serving"])


@router.post(
    "",
    status_code=201,
    response_model=InferenceServiceOut,
    responses=problems(*ENGINE),
    summary="Deploy versions of a model under a name",
    description=(
        "Answers while they are still deploying; `current_state` tells how far it is. One version "
        "is the `storageUri` of its InferenceService, several are its `storageUris`. "
        "A repeat for a service that is deploying or has failed deploys it again."
    ),
)
async def create_inference_service(
    parts: WithParts, project: ProjectId, body: InferenceServiceIn
) -> Response:
    service = await create_service(parts, project, body)
    return rendered(InferenceServiceOut.from_domain(service), status=201)


@router.get(
    "",
    response_model=Listed[InferenceServiceOut],
    responses=problems(*READS),
    summary="List inference services",
)
async def list_services(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    *,
    name: ByName = None,
    serving_environment_id: UUID | None = None,
    registered_model_id: UUID | None = None,
    desired_state: DesiredState | None = None,
    current_state: ServiceState | None = None,
) -> Response:
    found, total = await parts.registry.services(
        project,
        page,
        name=name,
        environment_id=serving_environment_id,
        model_id=registered_model_id,
        desired_state=desired_state,
        current_state=current_state,
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
    "/{service_id}",
    response_model=InferenceServiceOut,
    responses=problems(*READS),
    summary="One inference service, with its desired and current state",
)
async def get_service(parts: WithParts, project: ProjectId, service_id: Id) -> Response:
    return rendered(
        InferenceServiceOut.from_domain(await parts.registry.service(project, service_id))
    )


@router.patch(
    "/{service_id}",
    response_model=InferenceServiceOut,
    responses=problems(*ENGINE),
    summary="Deploy, undeploy, or serve other versions",
    description=(
        "Answers while the cluster follows; `current_state` tells how far it is. Other versions "
        "are ready before the former ones go. While the service has a traffic config its versions "
        "change by a rollout, and it cannot be undeployed. A repeat for a service that has failed "
        "tries again."
    ),
)
async def change_inference_service(
    parts: WithParts, project: ProjectId, service_id: Id, body: InferenceServicePatch
) -> Response:
    service = await change_service(parts, project, service_id, body)
    return rendered(InferenceServiceOut.from_domain(service))


@router.delete(
    "/{service_id}",
    status_code=204,
    responses=problems(*ENGINE),
    summary="Undeploy an inference service and forget it",
    description=(
        "Waits up to 10 s for the cluster to let go of it; a 504 says that it has not yet, and "
        "the service goes when it has."
    ),
)
async def delete_inference_service(
    parts: WithParts, project: ProjectId, service_id: Id
) -> Response:
    await delete_service(parts, project, service_id)
    return Response(status_code=204)
