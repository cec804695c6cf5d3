"""Who is in the way of a call that was refused because something is running."""

from uuid import UUID

from api.errors import OperationRunning, RolloutRunning
from domain.errors import AlreadyRunning, NotFound
from domain.ports import Registry
from domain.rollout import Rollout


async def in_the_way(
    registry: Registry, project_id: UUID, subject_id: UUID, mine: UUID, error: AlreadyRunning
) -> AlreadyRunning:
    """The same error, naming the rollout or operation that runs where the registry knows it."""
    rollout = await _rollout(registry, project_id, subject_id, error)
    if rollout is not None and rollout.id != mine:
        return RolloutRunning(rollout)
    operation = await registry.live_operation(project_id, subject_id)
    if operation is not None and operation.id != mine:
        return OperationRunning(operation)
    return error


async def _rollout(
    registry: Registry, project_id: UUID, subject_id: UUID, error: AlreadyRunning
) -> Rollout | None:
    """The one that the error names, which may have ended by now, or the one that has not ended."""
    if error.rollout_id is None:
        return await registry.live_rollout(project_id, subject_id)
    try:
        return await registry.rollout(project_id, UUID(error.rollout_id))
    except NotFound:
        return None
