"""Templates of gates: those of the project, and beside them the global ones."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator

from api.contract import READS, WRITES, problems
from api.parts import Parts, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.fields import printable
from api.schemas.gate_templates import (
    LAST_VERSION,
    GateTemplateIn,
    GateTemplateOut,
    GateTemplatePatch,
    GateTemplateSummary,
    GlobalGateTemplateOut,
    GlobalGateTemplateSummary,
)
from api.schemas.paging import Listed, WithPage, next_offset
from api.templates import require_sound
from domain.ports import Page

router = APIRouter(prefix=PREFIX, tags=["gate templates"])
Name = Annotated[str, Path(description="Its name."), AfterValidator(printable)]
Version = Annotated[int | None, Query(ge=1, le=LAST_VERSION, description="Left out: the latest.")]
_NUMBERED = (
    "The next version of its name, which never changes; the same content again is a 200 with the "
    "version that there is. It is tried with its defaults and examples, and refused where they do "
    "not make gates."
)
_SHARED = "Belongs to no project, and every project may use it."
_RETIRED = "What has started with it keeps it. A retired name takes no new version either."


async def _written(
    parts: Parts, owner: UUID | None, body: GateTemplateIn, out: type[GateTemplateOut]
) -> Response:
    wish = body.to_domain(owner, datetime.now(UTC))
    require_sound(wish)
    template, is_new = await parts.templates.add_version(wish)
    return rendered(out.in_full(template), status=201 if is_new else 200)


async def _patched(
    parts: Parts,
    owner: UUID | None,
    name: str,
    body: GateTemplatePatch,
    out: type[GateTemplateOut],
) -> Response:
    await parts.templates.retire(owner, name, datetime.now(UTC) if body.retired else None)
    return rendered(out.in_full(await parts.templates.template(owner, name)))


async def _names(
    parts: Parts, owner: UUID | None, page: Page, name: str | None, out: type[GateTemplateSummary]
) -> Response:
    found, total = await parts.templates.templates(owner, page, name=name)
    items = [out.from_domain(template) for template in found]
    following = next_offset(page, len(items), total)
    return rendered(
        Listed[GateTemplateSummary](
            items=items, total=total, page_size=page.limit, next_offset=following
        )
    )


async def _versions(
    parts: Parts, owner: UUID | None, name: str, page: Page, out: type[GateTemplateSummary]
) -> Response:
    found, total = await parts.templates.versions(owner, name, page)
    items = [out.from_domain(template) for template in found]
    following = next_offset(page, len(items), total)
    return rendered(
        Listed[GateTemplateSummary](
            items=items, total=total, page_size=page.limit, next_offset=following
        )
    )


@router.post(
    "/gate_templates",
    status_code=201,
    response_model=GateTemplateOut,
    responses={
        200: {"model": GateTemplateOut, "description": "The same content is there already."},
        **problems(*WRITES),
    },
    summary="Write a version of a gate template of the project",
    description=_NUMBERED,
)
async def create_gate_template(
    parts: WithParts, project: ProjectId, body: GateTemplateIn
) -> Response:
    return await _written(parts, project, body, GateTemplateOut)


@router.get(
    "/gate_templates",
    response_model=Listed[GateTemplateSummary],
    responses=problems(*READS),
    summary="List the project's gate templates, each in its latest version",
)
async def list_gate_templates(
    parts: WithParts, project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    return await _names(parts, project, page, name, GateTemplateSummary)


@router.get(
    "/gate_templates/{template_name}",
    response_model=GateTemplateOut,
    responses=problems(*READS),
    summary="One gate template of the project: its latest version, or another",
)
async def get_gate_template(
    parts: WithParts, project: ProjectId, template_name: Name, version: Version = None
) -> Response:
    template = await parts.templates.template(project, template_name, version)
    return rendered(GateTemplateOut.in_full(template))


@router.get(
    "/gate_templates/{template_name}/versions",
    response_model=Listed[GateTemplateSummary],
    responses=problems(*READS),
    summary="List the versions of a gate template of the project, the latest first",
)
async def list_gate_template_versions(
    parts: WithParts, project: ProjectId, template_name: Name, page: WithPage
) -> Response:
    return await _versions(parts, project, template_name, page, GateTemplateSummary)


@router.patch(
    "/gate_templates/{template_name}",
    response_model=GateTemplateOut,
    responses=problems(*WRITES),
    summary="Retire a gate template of the project, or have it back",
    description=_RETIRED,
)
async def change_gate_template(
    parts: WithParts, project: ProjectId, template_name: Name, body: GateTemplatePatch
) -> Response:
    return await _patched(parts, project, template_name, body, GateTemplateOut)


@router.post(
    "/global/gate_templates",
    status_code=201,
    response_model=GlobalGateTemplateOut,
    responses={
        200: {"model": GlobalGateTemplateOut, "description": "The same content is there already."},
        **problems(*WRITES),
    },
    summary="Write a version of a global gate template",
    description=f"{_SHARED} {_NUMBERED}",
)
async def create_global_gate_template(
    parts: WithParts, _project: ProjectId, body: GateTemplateIn
) -> Response:
    return await _written(parts, None, body, GlobalGateTemplateOut)


@router.get(
    "/global/gate_templates",
    response_model=Listed[GlobalGateTemplateSummary],
    responses=problems(*READS),
    summary="List the global gate templates, each in its latest version",
)
async def list_global_gate_templates(
    parts: WithParts, _project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    return await _names(parts, None, page, name, GlobalGateTemplateSummary)


@router.get(
    "/global/gate_templates/{global_template_name}",
    response_model=GlobalGateTemplateOut,
    responses=problems(*READS),
    summary="One global gate template: its latest version, or another",
)
async def get_global_gate_template(
    parts: WithParts, _project: ProjectId, global_template_name: Name, version: Version = None
) -> Response:
    template = await parts.templates.template(None, global_template_name, version)
    return rendered(GlobalGateTemplateOut.in_full(template))


@router.get(
    "/global/gate_templates/{global_template_name}/versions",
    response_model=Listed[GlobalGateTemplateSummary],
    responses=problems(*READS),
    summary="List the versions of a global gate template, the latest first",
)
async def list_global_gate_template_versions(
    parts: WithParts, _project: ProjectId, global_template_name: Name, page: WithPage
) -> Response:
    return await _versions(parts, None, global_template_name, page, GlobalGateTemplateSummary)


@router.patch(
    "/global/gate_templates/{global_template_name}",
    response_model=GlobalGateTemplateOut,
    responses=problems(*WRITES),
    summary="Retire a global gate template, or have it back",
    description=_RETIRED,
)
async def change_global_gate_template(
    parts: WithParts, _project: ProjectId, global_template_name: Name, body: GateTemplatePatch
) -> Response:
    return await _patched(parts, None, global_template_name, body, GlobalGateTemplateOut)
