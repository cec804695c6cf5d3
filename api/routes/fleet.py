"""Freeze windows, and groups of rollouts of which few advance at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator

from api.contract import DELETES, READS, WRITES, problems
from api.parts import Id, Parts, ProjectId, WithParts
from api.rendering import rendered
from api.rewrite import until_written
from api.routes import PREFIX
from api.routes.models import ByName
from api.schemas.fields import printable
from api.schemas.fleet import (
    FreezeWindowIn,
    FreezeWindowOut,
    FreezeWindowPatch,
    RolloutGroupIn,
    RolloutGroupOut,
    RolloutGroupPatch,
    RolloutGroupSummary,
)
from api.schemas.paging import Listed, WithPage, next_offset
from domain.errors import InvalidSpec, NotFound, Violation
from domain.fleet import FreezeWindow, Group

router = APIRouter(prefix=PREFIX, tags=["fleet"])
_HOLDS = "From now on no rollout that it covers gives its candidate more traffic while in force."
GroupName = Annotated[str, Path(description="Its name."), AfterValidator(printable)]


@router.post(
    "/freeze_windows",
    status_code=201,
    response_model=FreezeWindowOut,
    responses=problems(*WRITES),
    summary="Freeze rollouts for a time, or every week",
    description=f"{_HOLDS} A rollback is never held.",
)
async def create_freeze_window(
    parts: WithParts, project: ProjectId, body: FreezeWindowIn
) -> Response:
    now = datetime.now(UTC)
    window = body.to_domain(project, now)
    await _require_groups(parts, project, window.groups)
    await parts.fleet.create_window(window)
    return rendered(FreezeWindowOut.from_domain(window, now), status=201)


@router.get(
    "/freeze_windows",
    response_model=Listed[FreezeWindowOut],
    responses=problems(*READS),
    summary="List freeze windows",
)
async def list_freeze_windows(
    parts: WithParts, project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    found, total = await parts.fleet.windows(project, page, name=name)
    now = datetime.now(UTC)
    items = [FreezeWindowOut.from_domain(window, now) for window in found]
    return rendered(
        Listed[FreezeWindowOut](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/freeze_windows/{window_id}",
    response_model=FreezeWindowOut,
    responses=problems(*READS),
    summary="One freeze window, and whether it is in force",
)
async def get_freeze_window(parts: WithParts, project: ProjectId, window_id: Id) -> Response:
    window = await parts.fleet.window(project, window_id)
    return rendered(FreezeWindowOut.from_domain(window, datetime.now(UTC)))


@router.patch(
    "/freeze_windows/{window_id}",
    response_model=FreezeWindowOut,
    responses=problems(*WRITES),
    summary="Change a freeze window",
)
async def change_freeze_window(
    parts: WithParts, project: ProjectId, window_id: Id, body: FreezeWindowPatch
) -> Response:
    async def attempt() -> FreezeWindow:
        before = await parts.fleet.window(project, window_id)
        if not body.model_fields_set:
            return before
        after = body.applied(before, datetime.now(UTC))
        if after.groups != before.groups:
            await _require_groups(parts, project, after.groups)
        await parts.fleet.change_window(before, after)
        return after

    window = await until_written(attempt)
    return rendered(FreezeWindowOut.from_domain(window, datetime.now(UTC)))


@router.delete(
    "/freeze_windows/{window_id}",
    status_code=204,
    responses=problems(*DELETES),
    summary="Forget a freeze window: what only it held goes on",
)
async def delete_freeze_window(parts: WithParts, project: ProjectId, window_id: Id) -> Response:
    await parts.fleet.delete_window(project, window_id)
    return Response(status_code=204)


@router.post(
    "/rollout_groups",
    status_code=201,
    response_model=RolloutGroupSummary,
    responses=problems(*WRITES),
    summary="Name a group of rollouts of which few advance at once",
)
async def create_rollout_group(
    parts: WithParts, project: ProjectId, body: RolloutGroupIn
) -> Response:
    group = body.to_domain(project, datetime.now(UTC))
    await parts.fleet.create_group(group)
    return rendered(RolloutGroupSummary.from_domain(group), status=201)


@router.get(
    "/rollout_groups",
    response_model=Listed[RolloutGroupSummary],
    responses=problems(*READS),
    summary="List rollout groups",
)
async def list_rollout_groups(
    parts: WithParts, project: ProjectId, page: WithPage, name: ByName = None
) -> Response:
    found, total = await parts.fleet.groups(project, page, name=name)
    items = [RolloutGroupSummary.from_domain(group) for group in found]
    return rendered(
        Listed[RolloutGroupSummary](
            items=items,
            total=total,
            page_size=page.limit,
            next_offset=next_offset(page, len(items), total),
        )
    )


@router.get(
    "/rollout_groups/{group_name}",
    response_model=RolloutGroupOut,
    responses=problems(*READS),
    summary="One rollout group: who has its turn, and who waits in what order",
)
async def get_rollout_group(
    parts: WithParts, project: ProjectId, group_name: GroupName
) -> Response:
    policies = await parts.fleet.policies(project, group_name)
    group = policies.group or await parts.fleet.group(project, group_name)
    return rendered(RolloutGroupOut.of(group, policies))


@router.patch(
    "/rollout_groups/{group_name}",
    response_model=RolloutGroupSummary,
    responses=problems(*WRITES),
    summary="Change a rollout group's limit",
    description="Its name stays: rollouts know it.",
)
async def change_rollout_group(
    parts: WithParts, project: ProjectId, group_name: GroupName, body: RolloutGroupPatch
) -> Response:
    async def attempt() -> Group:
        before = await parts.fleet.group(project, group_name)
        after = body.applied(before, datetime.now(UTC))
        await parts.fleet.change_group(before, after)
        return after

    return rendered(RolloutGroupSummary.from_domain(await until_written(attempt)))


@router.delete(
    "/rollout_groups/{group_name}",
    status_code=204,
    responses=problems(*DELETES),
    summary="Forget a rollout group that nothing uses",
)
async def delete_rollout_group(
    parts: WithParts, project: ProjectId, group_name: GroupName
) -> Response:
    await parts.fleet.delete_group(project, group_name)
    return Response(status_code=204)


async def _require_groups(parts: Parts, project: UUID, names: Sequence[str] | None) -> None:
    """Raise InvalidSpec for each that is no group: a slip of the pen would freeze nothing."""
    violations = []
    for i, name in enumerate(names or ()):
        try:
            await parts.fleet.group(project, name)
        except NotFound as error:
            violations.append(Violation(f"groups.{i}", str(error)))
    if violations:
        raise InvalidSpec(*violations)
