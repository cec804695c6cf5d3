"""Answers kept for a while, so that many who ask the same cost one question."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TLRUCache

from domain.errors import PermanentError

T = TypeVar("T")
MOST_KEPT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """An answer that took `after` seconds or more is kept for `kept`: who asked may come back.

    So is an error that asking again would only find again.
    """

    after: float
    kept: float


class Remembered(Generic[T]):
    """Errors are told to all who wait for them and then forgotten, but for some that took long.

    The question is a task of its own: one who gives up does not take it from the others.
    """

    def __init__(
        self,
        seconds: float,
        *,
        slow: Slow | None = None,
        most: int = MOST_KEPT,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._slow, self._timer = seconds, slow, timer
        self._kept: TLRUCache[Hashable, tuple[asyncio.Task[T], float]] = TLRUCache(
            maxsize=most, ttu=lambda _, kept, now: now + kept[1], timer=timer
        )
        self._asked: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer that is kept for this key, or that of `ask`."""
        try:
            return self._kept[key][0].result()
        except KeyError:
            task = self._asked.get(key) or self._begin(key, ask)
            return await asyncio.shield(task)

    def _begin(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        async def asking() -> T:
            return await ask()

        task = self._asked[key] = asyncio.create_task(asking())
        began = self._timer()
        task.add_done_callback(lambda done: self._end(key, done, began))
        return task

    def _end(self, key: Hashable, done: asyncio.Task[T], began: float) -> None:
        del self._asked[key]
        if done.cancelled():
            return
        slow = self._slow if self._slow and self._timer() - began >= self._slow.after else None
        # Looking at the error keeps the loop from reporting one that nobody waits for any more.
        error = done.exception()
        if error is None or (slow and isinstance(error, PermanentError)):
            self._kept[key] = (done, slow.kept if slow else self._seconds)
