"""Virtual models: a name for clients, and the providers' backends that answer to it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator
from starlette.convertors import Convertor, register_url_convertor

from api import virtual_models
from api.contract import ENGINE, READS, WRITES, problems
from api.parts import ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.fields import printable
from api.schemas.paging import Listed, WithPage, next_offset
from api.schemas.virtual_models import (
    BackendIn,
    BackendOut,
    BackendPatch,
    VirtualModelIn,
    VirtualModelOut,
    VirtualModelPatch,
)


class _ModelName(Convertor[str]):
    """A name may hold slashes, but no part `backends`: there the path goes on."""

    regex = "(?!backends(?:/|$))[^/]+(?:/(?!backends(?:/|$))[^/]+)*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("model", _ModelName())
router = APIRouter(prefix=f"{PREFIX}/virtual_models", tags=["virtual models"])
_OBEYED = "Answers once the gateway obeys; what cannot be done is undone, and the answer says why."

Name = Annotated[
    str,
    Path(description="Its name, slashes as they are or as %2F."),
    AfterValidator(printable),
]
BackendId = Annotated[UUID, Path(description="The backend's id.")]


@router.post(
    "",
    status_code=201,
    response_model=VirtualModelOut,
    responses=problems(*WRITES),
    summary="Name a virtual model",
    description="Without backends the gateway does not know it yet.",
)
async def create_virtual_model(
    parts: WithParts, project: ProjectId, body: VirtualModelIn
) -> Response:
    model = await virtual_models.create(parts, project, body)
    return rendered(VirtualModelOut.from_domain(model), status=201)


@router.get(
    "",
    response_model=Listed[VirtualModelOut],
    responses=problems(*READS),
    summary="List virtual models",
)
async def list_virtual_models(
    parts: WithParts,
    project: ProjectId,
    page: WithPage,
    name: ByName = None,
) -> Response:
    found, total = await parts.registry.virtual_models(project, page, name=name)
    items = [VirtualModelOut.from_domain(model) for model in found]
    return rendered(
        Listed[VirtualModelOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.post(
    "/{name:model}/backends",
    status_code=201,
    response_model=VirtualModelOut,
    responses=problems(*ENGINE),
    summary="Let a provider's backend answer to the name",
    description=_OBEYED,
)
async def add_backend(
    parts: WithParts, project: ProjectId, name: Name, body: BackendIn
) -> Response:
    model = await virtual_models.add_backend(parts, project, name, body)
    return rendered(VirtualModelOut.from_domain(model), status=201)


@router.get(
    "/{name:model}/backends",
    response_model=Listed[BackendOut],
    responses=problems(*READS),
    summary="List the backends of a virtual model",
)
async def list_backends(
    parts: WithParts, project: ProjectId, name: Name, page: WithPage
) -> Response:
    model = await parts.registry.virtual_model(project, name)
    shown = model.backends[page.offset : page.offset + page.limit]
    return rendered(
        Listed[BackendOut](
            items=[BackendOut.from_domain(backend, model) for backend in shown],
            total=len(model.backends),
            page_size=page.limit,
            next_offset=next_offset(page, len(shown), len(model.backends)),
        )
    )


@router.patch(
    "/{name:model}/backends/{backend_id}",
    response_model=VirtualModelOut,
    responses=problems(*ENGINE),
    summary="Change a backend's weight, priority or model name",
    description=_OBEYED,
)
async def change_backend(
    parts: WithParts, project: ProjectId, name: Name, backend_id: BackendId, body: BackendPatch
) -> Response:
    model = await virtual_models.change_backend(parts, project, name, backend_id, body)
    return rendered(VirtualModelOut.from_domain(model))


@router.delete(
    "/{name:model}/backends/{backend_id}",
    response_model=VirtualModelOut,
    responses=problems(*ENGINE),
    summary="Take a backend away",
    description=_OBEYED + " The last one takes the gateway's route with it.",
)
async def delete_backend(
    parts: WithParts, project: ProjectId, name: Name, backend_id: BackendId
) -> Response:
    model = await virtual_models.delete_backend(parts, project, name, backend_id)
    return rendered(VirtualModelOut.from_domain(model))


@router.get(
    "/{name:model}",
    response_model=VirtualModelOut,
    responses=problems(*READS),
    summary="One virtual model with its backends",
)
async def get_virtual_model(parts: WithParts, project: ProjectId, name: Name) -> Response:
    return rendered(VirtualModelOut.from_domain(await parts.registry.virtual_model(project, name)))


@router.patch(
    "/{name:model}",
    response_model=VirtualModelOut,
    responses=problems(*WRITES),
    summary="Describe a virtual model",
    description="Its name stays: clients know it.",
)
async def describe_virtual_model(
    parts: WithParts, project: ProjectId, name: Name, body: VirtualModelPatch
) -> Response:
    model = await virtual_models.describe(parts, project, name, body.description)
    return rendered(VirtualModelOut.from_domain(model))


@router.delete(
    "/{name:model}",
    status_code=204,
    response_class=Response,
    responses=problems(*ENGINE),
    summary="Delete a virtual model, its backends and its route",
    description="Answers once the gateway knows the name no more.",
)
async def delete_virtual_model(parts: WithParts, project: ProjectId, name: Name) -> Response:
    await virtual_models.delete(parts, project, name)
    return Response(status_code=204)
