"""Heartbeats from beside the work: a slow call never looks like a dead worker, a cancel arrives."""

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_saying: ContextVar[list[str]] = ContextVar("saying")


def say(text: str) -> None:
    """Let the next heartbeat say this; the Temporal UI shows it beside the pending activity.

    Outside of an activity nobody hears it.
    """
    saying = _saying.get(None)
    if saying is not None:
        saying[0] = text


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
