"""Who is in the way of a call that was refused because something is running."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

from api.errors import OperationRunning, RolloutRunning
from domain.errors import AlreadyRunning, NotFound
from domain.operations import ChangeKind
from domain.ports import Registry
from domain.rollout import Rollout

# Retiring what was kept is nobody's wish of this moment: a call waits for it instead of being
# refused.
HOUSEKEEPING_PATIENCE = timedelta(seconds=20)
_POLL_SECONDS = 0.25


def is_housekeeping(error: AlreadyRunning) -> bool:
    """Whether what is in the way was begun by the engine itself, and is over in a moment."""
    return isinstance(error, OperationRunning) and error.operation.change.kind is ChangeKind.RETIRE


class Patience:
    """How long a call goes on waiting for somebody who is in its way."""

    def __init__(self, total: timedelta) -> None:
        self._until = time.monotonic() + total.total_seconds()

    async def allows(self) -> bool:
        """Wait a little; False when the time is up."""
        if time.monotonic() >= self._until:
            return False
        await asyncio.sleep(_POLL_SECONDS)
        return True


async def in_the_way(
    registry: Registry,
    project_id: UUID,
    subject_id: UUID,
    error: AlreadyRunning,
    *,
    mine: UUID | None = None,
) -> AlreadyRunning:
    """The same error, naming the rollout or operation that runs where the registry knows it.

    `mine` is the one that was refused, and is not in its own way.
    """
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
