"""What a rollout asks beside its watch: its hooks for a yes, the fleet for leave to go on."""

import asyncio

from temporalio import workflow

from activities.fleet import ClearanceOrder, FleetActivities
from workflows.standing import Standing
from workflows.timeouts import look


class Questions:
    """Asked in the background; nothing waits for them but the step that they are asked for."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._question: asyncio.Task[None] | None = None
        self._clearing: asyncio.Task[None] | None = None

    def ask(self, hook: str) -> None:
        """Ask a hook until it says yes."""
        asked = self._standing.ask(self._standing.plan.hook(hook))
        self._question = asyncio.create_task(asked)

    def drop(self) -> None:
        """Stop asking for a step that is over: its hook, and the fleet."""
        for asked in (self._question, self._clearing):
            if asked is not None:
                asked.cancel()
        self._question = self._clearing = None

    def ask_the_fleet(self, to: int | None) -> None:
        """Ask for leave to go on to a step, beside the watch.

        Leave that was not taken at once is given back: by the time that there is something to go
        on for, a freeze may have begun.
        """
        standing = self._standing
        if to == standing.asking:
            return
        if self._clearing is not None:
            self._clearing.cancel()
        standing.ask_the_fleet(to)
        self._clearing = None if to is None else asyncio.create_task(self.clear(to))

    async def clear(self, to: int) -> None:
        """Have the fleet's leave for a step; however long that takes."""
        standing = self._standing
        clearance = await workflow.execute_activity_method(
            FleetActivities.await_clearance,
            ClearanceOrder(
                rollout_id=standing.rollout_id,
                project_id=standing.plan.route.project_id,
                group=standing.plan.group,
                deadline=standing.late_at,
            ),
            summary=f"clearance for step {to + 1}",
            **look(),
        )
        if clearance.cleared:
            standing.cleared = to
            standing.hold(False)
        standing.news += 1
