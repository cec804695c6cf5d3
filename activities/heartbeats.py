"""Heartbeats from beside the work: a slow call never looks like a dead worker, a cancel arrives."""

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

# No probe is held up for longer by a server that does not answer.
_ANSWERS_WITHIN = timedelta(seconds=2)
_saying: ContextVar[list[str]] = ContextVar("saying")


def say(text: str) -> None:
    """Let the next heartbeat say this; the Temporal UI shows it beside the pending activity.

    Outside of an activity nobody hears it.
    """
    saying = _saying.get(None)
    if saying is not None:
        saying[0] = text


async def still_wanted() -> None:
    """Come back if the workflow still waits for this activity; else never, as a cancel is due.

    A look that was given up goes on until its next beat, and its workflow does not wait for that.
    Called between reading and storing, this keeps what was read under another weight from being
    stored: whatever the workflow did next, it gave the look up first.

    Where the server does not answer the look counts as wanted: without it no workflow goes on, and
    its silence is no reason to stop counting. Outside of a worker every look is wanted.
    """
    if not await _is_wanted():
        await asyncio.Event().wait()


async def _is_wanted() -> bool:
    try:
        client = activity.client()
    except RuntimeError:
        return True
    beating = client.get_async_activity_handle(task_token=activity.info().task_token)
    try:
        await beating.heartbeat(_saying.get([""])[0], rpc_timeout=_ANSWERS_WITHIN)
    except AsyncActivityCancelledError:
        return False
    except RPCError as error:  # not found: another one has begun in its place, or all is over
        return error.status is not RPCStatusCode.NOT_FOUND
    return True


class Heartbeats(Interceptor):
    """Beats for every activity that has a heartbeat timeout, three times per timeout."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK names it so
        return _Beating(super().intercept_activity(next))


class _Beating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK names it so
        saying = [""]
        _saying.set(saying)
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await self.next.execute_activity(input)
        beat = asyncio.create_task(_beat(timeout.total_seconds() / 3, saying))
        try:
            return await self.next.execute_activity(input)
        finally:
            beat.cancel()
            with suppress(asyncio.CancelledError):
                await beat


async def _beat(period: float, saying: list[str]) -> None:
    while True:
        activity.heartbeat(saying[0])
        await asyncio.sleep(period)
