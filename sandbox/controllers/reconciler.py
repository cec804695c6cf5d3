"""Brings what is towards what should be, key by key: the loop that every controller runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sandbox.controllers.cluster import ClusterError, Key, Stale

_log = logging.getLogger(__name__)
_FIRST_DELAY_SECONDS = 0.02
_LONGEST_DELAY_SECONDS = 1.0
_AT_ONCE = 16


class Reconciler:
    """Level-triggered: a key that changes while it is worked on is simply done once more.

    One key is never worked on twice at a time; a failure is tried again with growing delays.
    """

    def __init__(self, name: str, reconcile: Callable[[Key], Awaitable[None]]) -> None:
        self._name = name
        self._reconcile = reconcile
        self._active: dict[Key, asyncio.Task[None]] = {}
        self._dirty: set[Key] = set()
        self._nudges: dict[Key, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def add(self, key: Key) -> None:
        """Have the key looked at soon. Must be called on the event loop."""
        if key in self._active:
            self._dirty.add(key)
            self._nudges[key].set()
            return
        self._nudges[key] = asyncio.Event()
        self._active[key] = asyncio.create_task(self._work(key), name=f"{self._name} {key}")

    async def close(self) -> None:
        tasks = list(self._active.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, key: Key) -> None:
        try:
            await self._until_done(key)
        finally:
            del self._active[key], self._nudges[key]
            self._dirty.discard(key)

    async def _until_done(self, key: Key) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            self._dirty.discard(key)
            self._nudges[key].clear()
            if await self._attempt(key, delay):
                delay = _FIRST_DELAY_SECONDS
                if key not in self._dirty:
                    return
            else:
                await self._pause(key, delay)
                delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _attempt(self, key: Key, delay: float) -> bool:
        try:
            async with self._slots:
                await self._reconcile(key)
        except Stale as error:
            _log.debug("%s %s: %s", self._name, key, error)
        except ClusterError as error:
            _log.warning("%s %s: %s; again in %.2f s", self._name, key, error, delay)
        except Exception:  # noqa: BLE001 - a bug with one object must not stop the others
            _log.exception("%s %s; again in %.2f s", self._name, key, delay)
        else:
            return True
        return False

    async def _pause(self, key: Key, delay: float) -> None:
        """News of the key ends the pause: it may be what the failure waited for."""
        try:
            async with asyncio.timeout(delay):
                await self._nudges[key].wait()
        except TimeoutError:
            return
