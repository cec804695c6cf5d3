"""Work that may be given up: what must not wait comes first, and sees it ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.progress import Acted, ActState
from workflows.standing import Standing


class Interruption:
    """Until the promotion an abort, the deadline and the like interrupt what a rollout does."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    async def unless_stopped(
        self, work: Coroutine[Any, Any, Acted], *, heeds_news: bool = False
    ) -> Acted | None:
        """Do the work unless something comes that must not wait for it; then give it up."""
        standing, task, news = self._standing, asyncio.create_task(work), self._standing.news
        before_promotion = standing.may_turn_back

        def is_stopped() -> bool:
            if not (standing.is_urgent or (heeds_news and standing.news != news)):
                return False
            # A promotion that was begun is recorded, however late: only then may stable go.
            return standing.may_turn_back or not workflow.patched("promote-however-late")

        try:
            if before_promotion:
                await workflow.wait_condition(lambda: task.done() or is_stopped())
            if task.done() or not before_promotion:
                return await task
        except asyncio.CancelledError:
            await _give_up(task)
            raise
        await _give_up(task)
        return None


def or_interrupted(acted: Acted | None) -> Acted:
    """An interrupted step never counts as done: what interrupted it decides."""
    return acted or Acted(state=ActState.SILENT, at=workflow.now(), detail="interrupted")


async def _give_up(task: "asyncio.Task[Acted]") -> None:
    """Cancel a task and see it end, so that none of its writes comes after what follows."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if workflow.cancellation_reason() is not None:
            raise
    except FailureError:
        return
