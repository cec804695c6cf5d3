"""The guardian's patrol: rollouts that the registry calls unfinished though no run walks them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity

from activities.heartbeats import say
from domain.errors import TransientError
from domain.ports import Patrol, RunDirectory
from domain.rollout import Phase, Rollout

ROUND = timedelta(seconds=2)
# A row is written a moment before its run starts.
START_GRACE = timedelta(seconds=15)


class GuardActivities:
    def __init__(
        self, patrol: Patrol, runs: RunDirectory, *, shift: timedelta, every: timedelta = ROUND
    ) -> None:
        """`shift` is how long one patrol walks, a round `every` so often, if all is well."""
        self._patrol, self._runs = patrol, runs
        self._shift, self._every = shift, every

    @activity.defn(name="guard.patrol")
    async def patrol(self) -> tuple[Rollout, ...]:
        """Return the abandoned rollouts as soon as there is one, or none at the end of the shift.

        A rollout counts as abandoned when two rounds in a row find no run of it.
        """
        ends = datetime.now(UTC) + self._shift
        suspects: set[UUID] = set()
        while datetime.now(UTC) < ends:
            alone: list[Rollout] = []
            try:
                alone = [r for r in await self._patrol.unfinished() if await self._alone(r)]
            except TransientError as error:
                say(str(error))
            abandoned = tuple(r for r in alone if r.id in suspects)
            if abandoned:
                return abandoned
            suspects = {r.id for r in alone}
            await asyncio.sleep(self._every.total_seconds())
        return ()

    async def _alone(self, rollout: Rollout) -> bool:
        fresh = datetime.now(UTC) - rollout.created_at < START_GRACE
        if rollout.phase is Phase.PENDING and fresh:
            return False
        return not await self._runs.is_running(rollout.workflow_id)
