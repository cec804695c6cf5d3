"""Waiting: for the first of two things, and to the very end whatever cancellation arrives."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end; a cancellation that arrived meanwhile is raised afterwards.

    A single shield is not enough: a cancel during the rollback would cancel the waiter, close the
    workflow, and with it the rollback. A cancellation that does not come from the server (the
    workflow is being evicted from a worker's cache) must pass at once.
    """
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.done() or workflow.cancellation_reason() is None:
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - the task's own error, raised by result() below
            break
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


async def heeding(work: Awaitable[T]) -> T:
    """Await an activity, and heed a cancellation that came together with its end.

    The SDK swallows such a one: the activity's result is there, so nothing is left to cancel, and
    the task would go on to its next activity as if nobody had given it up.
    """
    result = await work
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return result


async def first(happened: Callable[[], bool], within: timedelta) -> None:
    """Return when it happened, or when the time is up."""
    try:
        await workflow.wait_condition(happened, timeout=max(within, timedelta(0)))
    except TimeoutError:
        return
