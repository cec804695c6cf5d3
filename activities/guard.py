"""The guardian's patrol: rollouts that the registry calls unfinished though no run walks them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity

from activities.heartbeats import say
from activities.payloads import that_fit
from domain.errors import TidegateError
from domain.ports import Patrol, RunDirectory
from domain.rollout import Phase, Rollout

ROUND = timedelta(seconds=2)
# A row is written a moment before its run starts.
START_GRACE = timedelta(seconds=15)
# So many rollouts are asked about one by one, which is exact. Of more, only those that the server's
# list, which lags, does not name.
ASKED_SINGLY = 10


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

        Of very many the first; the patrol that follows at once finds the others.
        A rollout counts as abandoned when two rounds in a row find no run of it. A round that
        fails, for whatever reason, says so and is followed by the next: nobody else would look.
        """
        ends = datetime.now(UTC) + self._shift
        suspects: set[UUID] = set()
        while datetime.now(UTC) < ends:
            alone: list[Rollout] = []
            try:
                alone = await self._alone()
            except TidegateError as error:
                say(str(error))
            if abandoned := that_fit(r for r in alone if r.id in suspects):
                return abandoned
            suspects = {r.id for r in alone}
            await asyncio.sleep(self._every.total_seconds())
        return ()

    async def _alone(self) -> list[Rollout]:
        """The unfinished rollouts that no run walks at this moment."""
        unfinished = await self._patrol.unfinished()
        many = len(unfinished) > ASKED_SINGLY
        listed: frozenset[str] = await self._runs.listed() if many else frozenset()
        asked = (r for r in unfinished if r.workflow_id not in listed and not _is_fresh(r))
        return [r for r in asked if not await self._runs.is_running(r.workflow_id)]


def _is_fresh(rollout: Rollout) -> bool:
    age = datetime.now(UTC) - rollout.created_at
    return rollout.phase is Phase.PENDING and age < START_GRACE
