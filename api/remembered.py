"""Answers kept for a few seconds, so that many who ask the same cost one question."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")
MOST_KEPT = 512


class Remembered(Generic[T]):
    """Errors are told to all who wait for them and then forgotten.

    The question is a task of its own: one who gives up does not take it from the others.
    """

    def __init__(
        self, seconds: float, *, most: int = MOST_KEPT, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept: TTLCache[Hashable, T] = TTLCache(maxsize=most, ttl=seconds, timer=timer)
        self._asked: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer that is kept for this key, or that of `ask`."""
        try:
            return self._kept[key]
        except KeyError:
            task = self._asked.get(key) or self._begin(key, ask)
            return await asyncio.shield(task)

    def _begin(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        async def asking() -> T:
            return await ask()

        task = self._asked[key] = asyncio.create_task(asking())
        task.add_done_callback(lambda done: self._end(key, done))
        return task

    def _end(self, key: Hashable, done: asyncio.Task[T]) -> None:
        del self._asked[key]
        # Looking at the error keeps the loop from reporting one that nobody waits for any more.
        if not done.cancelled() and done.exception() is None:
            self._kept[key] = done.result()
