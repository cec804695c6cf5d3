"""What people ask of a rollout: of one that runs, and to begin one again."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from api.contract import ENGINE, problems
from api.errors import Absent, NoReply
from api.launch import again
from api.parts import Id, Parts, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.rollouts import IdempotencyKey, in_full, links_of
from api.schemas.rollouts import (
    ApproveIn,
    CommandIn,
    CommandOut,
    PromoteIn,
    RetryIn,
    RolloutOut,
    RolloutSummary,
)
from domain.errors import Conflict
from domain.rollout import Action, Command, Phase, Rollout

router = APIRouter(prefix=f"{PREFIX}/rollouts/{{rollout_id}}", tags=["rollouts"])
_REPEAT = " A repeat does no harm."
_HOME_PATIENCE = timedelta(seconds=60)
_STALE = " With `expected_step` a repeat answers the same, and a stale click is a 409."


@router.post(
    "/promote",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Go on to the next step, or promote the candidate at once",
    description="Gates are not asked again; what is unsafe for traffic still is not done."
    + _REPEAT,
)
async def promote(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: PromoteIn | None = None
) -> Response:
    command = (body or PromoteIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.PROMOTE, command)


@router.post(
    "/abort",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Roll back: all traffic to stable at once",
    description="Answers as soon as the rollback is under way." + _REPEAT,
)
async def abort(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: CommandIn | None = None
) -> Response:
    command = (body or CommandIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.ABORT, command)


@router.post(
    "/pause",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Stay at the present weight; a failing gate still rolls back",
    description="Until it is resumed." + _REPEAT,
)
async def pause(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: CommandIn | None = None
) -> Response:
    command = (body or CommandIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.PAUSE, command)


@router.post(
    "/resume",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Go on after a pause",
    description="Where it stopped." + _REPEAT,
)
async def resume(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: CommandIn | None = None
) -> Response:
    command = (body or CommandIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.RESUME, command)


@router.post(
    "/skip",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="End the wait of this step and go on to the next one",
    description="An approval cannot be skipped." + _STALE,
)
async def skip(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: CommandIn | None = None
) -> Response:
    command = (body or CommandIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.SKIP, command)


@router.post(
    "/approve",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Give the approval that the present step waits for",
    description="Roles are taken as they are told: who may call this is for the proxy to check."
    + _STALE,
)
async def approve(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: ApproveIn | None = None
) -> Response:
    command = (body or ApproveIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.APPROVE, command)


@router.post(
    "/reject",
    response_model=CommandOut,
    responses=problems(*ENGINE),
    summary="Refuse the approval that the present step waits for, and roll back",
    description="Answers as soon as the rollback is ordered." + _STALE,
)
async def reject(
    parts: WithParts, project: ProjectId, rollout_id: Id, body: ApproveIn | None = None
) -> Response:
    command = (body or ApproveIn()).to_domain()
    return await _commanded(parts, project, rollout_id, Action.REJECT, command)


@router.post(
    "/retry",
    status_code=201,
    response_model=RolloutOut,
    responses=problems(*ENGINE),
    summary="Begin an ended rollout again, by the same plan",
    description="A new rollout with a run and evidence of its own. One that was promoted has "
    "nothing to try again; where the plan is no longer true, start a new one.",
)
async def retry(
    parts: WithParts,
    project: ProjectId,
    rollout_id: Id,
    body: RetryIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    rollout, wish = await parts.registry.rollout(project, rollout_id), body or RetryIn()
    if not rollout.phase.is_final:
        raise Conflict(f"the rollout is {rollout.phase}; restart it, or abort it first")
    return await _again(parts, rollout, wish, idempotency_key)


@router.post(
    "/restart",
    status_code=201,
    response_model=RolloutOut,
    responses=problems(*ENGINE),
    summary="Abort a rollout that runs, and begin it again by the same plan",
    description="Answers when the first one is home and the new one has begun; a 504 says that it "
    "is still on its way home, and a repeat goes on from there.",
)
async def restart(
    parts: WithParts,
    project: ProjectId,
    rollout_id: Id,
    body: RetryIn | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    rollout, wish = await parts.registry.rollout(project, rollout_id), body or RetryIn()
    if not rollout.phase.is_final:
        with suppress(Absent, Conflict):  # it may have ended just now, or be on its way home
            await parts.control.command(rollout, Action.ABORT, wish.to_domain())
        await parts.control.see_end(rollout, patience=_HOME_PATIENCE)
        rollout = await parts.registry.rollout(project, rollout_id)
    if not rollout.phase.is_final:
        raise NoReply
    return await _again(parts, rollout, wish, idempotency_key)


async def _again(parts: Parts, rollout: Rollout, wish: RetryIn, key: str | None) -> Response:
    if rollout.phase is Phase.PROMOTED:
        raise Conflict("the rollout has ended, promoted: there is nothing to try again")
    started = await again(parts, rollout, actor=wish.actor, reason=wish.reason, key=key)
    shown = await in_full(parts, started)
    return rendered(shown, status=201, headers={"Location": shown.links.self})


async def _commanded(
    parts: Parts, project: UUID, rollout_id: UUID, action: Action, command: Command
) -> Response:
    rollout = _unfinished(await parts.registry.rollout(project, rollout_id))
    try:
        reply = await parts.control.command(rollout, action, command)
    except Absent:
        _unfinished(await parts.registry.rollout(project, rollout_id))  # it may have ended just now
        raise
    now = await parts.registry.rollout(project, rollout_id)
    summary = RolloutSummary.from_domain(now, links_of(parts, now))
    return rendered(CommandOut(phase=reply.phase, message=reply.message, rollout=summary))


def _unfinished(rollout: Rollout) -> Rollout:
    if rollout.phase.is_final:
        because = f": {rollout.phase_reason}" if rollout.phase_reason else ""
        raise Conflict(f"the rollout has ended, {rollout.phase}{because}")
    return rollout
