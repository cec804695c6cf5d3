"""Operations: one-shot changes, looked up."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.contract import READS, problems
from api.parts import Id, Parts, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.schemas.operations import OperationOut
from api.schemas.paging import Listed, WithPage, next_offset
from domain.operations import Operation

router = APIRouter(prefix=f"{PREFIX}/operations", tags=["operations"])


def shown(parts: Parts, operation: Operation) -> OperationOut:
    """An operation that has ended is one of many runs of its workflow ID."""
    ui, workflow_id = parts.temporal_ui, operation.workflow_id
    link = ui.runs(workflow_id) if operation.phase.is_final else ui.link(workflow_id, None)
    return OperationOut.from_domain(operation, link)


@router.get(
    "",
    response_model=Listed[OperationOut],
    responses=problems(*READS),
    summary="List operations, the newest first",
)
async def list_operations(
    parts: WithParts, project: ProjectId, page: WithPage, subject_id: UUID | None = None
) -> Response:
    found, total = await parts.registry.operations(project, page, subject_id=subject_id)
    return rendered(
        Listed[OperationOut](
            items=[shown(parts, operation) for operation in found],
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(found), total),
        )
    )


@router.get(
    "/{operation_id}",
    response_model=OperationOut,
    responses=problems(*READS),
    summary="One operation: how far it is, how it ended and what was seen of it",
)
async def get_operation(parts: WithParts, project: ProjectId, operation_id: Id) -> Response:
    return rendered(shown(parts, await parts.registry.operation(project, operation_id)))
