"""The fleet's policies: wait until a rollout may advance, give its turn back."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity

from activities.heartbeats import say
from domain.errors import NotFound, TransientError
from domain.fleet import Clearance, clearance
from domain.fleet_port import Fleet

POLL = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceOrder:
    """Wait for leave to give the candidate more traffic, until `deadline`, a moment.

    Without a group, only freeze windows that cover the whole project hold the rollout.
    """

    rollout_id: UUID
    project_id: UUID
    group: str | None
    deadline: datetime


class FleetActivities:
    def __init__(self, fleet: Fleet, *, every: timedelta = POLL) -> None:
        """A look `every` so often, and none after the first that clears."""
        self._fleet, self._every = fleet, every

    @activity.defn(name="fleet.await_clearance")
    async def await_clearance(self, order: ClearanceOrder) -> Clearance:
        """Return once the rollout is cleared, or with why it is not when the deadline passes.

        A database that does not answer clears nobody, nor does a group that is not there: both can
        be repaired while the rollout holds.
        """
        while not (given := await self._look(order)).cleared:
            say(given.reason)
            left = order.deadline - datetime.now(UTC)
            if left <= timedelta(0):
                return given
            await asyncio.sleep(min(self._every, left).total_seconds())
        return given

    async def _look(self, order: ClearanceOrder) -> Clearance:
        try:
            policies = await self._fleet.ask(order.project_id, order.rollout_id, order.group)
        except (TransientError, NotFound) as error:
            return Clearance(cleared=False, reason=str(error))
        return clearance(policies, order.rollout_id, datetime.now(UTC))

    @activity.defn(name="fleet.leave")
    async def leave(self, rollout_id: UUID) -> None:
        """Give the rollout's turn, or its place in the queue, to who comes next."""
        await self._fleet.leave(rollout_id)
