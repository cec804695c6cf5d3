"""Registered models and their versions."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.contract import DELETES, READS, WRITES, problems
from api.parts import Id, ProjectId, WithParts
from api.rendering import rendered
from api.rewrite import until_written
from api.routes import PREFIX
from api.schemas.fields import Name
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.registry import (
    ModelVersionIn,
    ModelVersionOut,
    ModelVersionPatch,
    RegisteredModelIn,
    RegisteredModelOut,
    RegisteredModelPatch,
)
from domain.registry import ModelVersion, RegisteredModel

router = APIRouter(prefix=PREFIX, tags=["registry"])
ByName = Annotated[Name | None, Query(description="Only the one of this name.")]


@router.post(
    "/registered_models",
    status_code=201,
    response_model=RegisteredModelOut,
    responses=problems(*WRITES),
    summary="Register a model",
)
async def create_model(parts: WithParts, project: ProjectId, body: RegisteredModelIn) -> Response:
    model = body.to_domain(project, datetime.now(UTC))
    await parts.registry.create_model(model)
    return rendered(RegisteredModelOut.from_domain(model), status=201)


@router.get(
    "/registered_models",
    response_model=Listed[RegisteredModelOut],
    responses=problems(*READS),
    summary="List registered models",
)
async def list_models(
    parts: WithParts, project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    found, total = await parts.registry.models(project, page, name=name)
    items = [RegisteredModelOut.from_domain(model) for model in found]
    return rendered(
        Listed[RegisteredModelOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/registered_models/{model_id}",
    response_model=RegisteredModelOut,
    responses=problems(*READS),
    summary="One registered model",
)
async def get_model(parts: WithParts, project: ProjectId, model_id: Id) -> Response:
    return rendered(RegisteredModelOut.from_domain(await parts.registry.model(project, model_id)))


@router.patch(
    "/registered_models/{model_id}",
    response_model=RegisteredModelOut,
    responses=problems(*WRITES),
    summary="Change a registered model's name or description",
)
async def change_model(
    parts: WithParts, project: ProjectId, model_id: Id, body: RegisteredModelPatch
) -> Response:
    async def attempt() -> RegisteredModel:
        before = await parts.registry.model(project, model_id)
        if not body.model_fields_set:
            return before
        after = body.applied(before, datetime.now(UTC))
        await parts.registry.change_model(before, after)
        return after

    return rendered(RegisteredModelOut.from_domain(await until_written(attempt)))


@router.delete(
    "/registered_models/{model_id}",
    status_code=204,
    responses=problems(*DELETES),
    summary="Forget a registered model that nothing uses",
)
async def delete_model(parts: WithParts, project: ProjectId, model_id: Id) -> Response:
    await parts.registry.delete_model(project, model_id)
    return Response(status_code=204)


@router.post(
    "/registered_models/{model_id}/versions",
    status_code=201,
    response_model=ModelVersionOut,
    responses=problems(*WRITES),
    summary="Register a version of a model",
)
async def create_version(
    parts: WithParts, project: ProjectId, model_id: Id, body: ModelVersionIn
) -> Response:
    model = await parts.registry.model(project, model_id)
    version = body.to_domain(project, model.id, datetime.now(UTC))
    await parts.registry.create_version(version)
    return rendered(ModelVersionOut.from_domain(version), status=201)


@router.get(
    "/registered_models/{model_id}/versions",
    response_model=Listed[ModelVersionOut],
    responses=problems(*READS),
    summary="List the versions of a model",
)
async def list_versions_of_model(
    parts: WithParts, project: ProjectId, model_id: Id, page: WithPage, name: ByName = None
) -> Response:
    model = await parts.registry.model(project, model_id)
    return await list_versions(parts, project, page, name, registered_model_id=model.id)


@router.get(
    "/model_versions",
    response_model=Listed[ModelVersionOut],
    responses=problems(*READS),
    summary="List model versions",
)
async def list_versions(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    name: ByName = None,
    registered_model_id: UUID | None = None,
) -> Response:
    found, total = await parts.registry.versions(
        project, page, name=name, model_id=registered_model_id
    )
    items = [ModelVersionOut.from_domain(version) for version in found]
    return rendered(
        Listed[ModelVersionOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/model_versions/{version_id}",
    response_model=ModelVersionOut,
    responses=problems(*READS),
    summary="One model version",
)
async def get_version(parts: WithParts, project: ProjectId, version_id: Id) -> Response:
    return rendered(ModelVersionOut.from_domain(await parts.registry.version(project, version_id)))


@router.patch(
    "/model_versions/{version_id}",
    response_model=ModelVersionOut,
    responses=problems(*WRITES),
    summary="Change a model version's description",
    description="The artefact is immutable: what is served under a version never changes.",
)
async def change_version(
    parts: WithParts, project: ProjectId, version_id: Id, body: ModelVersionPatch
) -> Response:
    async def attempt() -> ModelVersion:
        before = await parts.registry.version(project, version_id)
        if not body.model_fields_set:
            return before
        after = body.applied(before, datetime.now(UTC))
        await parts.registry.change_version(before, after)
        return after

    return rendered(ModelVersionOut.from_domain(await until_written(attempt)))


@router.delete(
    "/model_versions/{version_id}",
    status_code=204,
    responses=problems(*DELETES),
    summary="Forget a model version that nothing uses",
)
async def delete_version(parts: WithParts, project: ProjectId, version_id: Id) -> Response:
    await parts.registry.delete_version(project, version_id)
    return Response(status_code=204)
