"""Who follows which rollout, and the one connection that hears when something was recorded."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from adapters.postgres.database import Database
from domain.errors import TidegateError

CHANNEL = "tidegate_rollout_events"
_ALIVE_EVERY_SECONDS = 30.0
_RECONNECT_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Wake:
    """Wakes followers. A connection of the pool listens for all of them, while there are any.

    A wake may be lost with a connection, so a follower also looks by itself now and then.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._followers: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def of(self, rollout_id: UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set each time the rollout's history may have grown."""
        woken = asyncio.Event()
        self._followers[rollout_id].add(woken)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen(), name="rollout events")
        try:
            yield woken
        finally:
            await self._leave(rollout_id, woken)

    async def _leave(self, rollout_id: UUID, woken: asyncio.Event) -> None:
        self._followers[rollout_id].discard(woken)
        if not self._followers[rollout_id]:
            del self._followers[rollout_id]
        if not self._followers and self._listening is not None:
            listening, self._listening = self._listening, None
            listening.cancel()
            await asyncio.wait([listening])

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except TidegateError as error:
                _log.warning("not listening for rollout events: %s", error)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        """Listen until the connection is lost, and ask it now and then whether it is."""
        lost = asyncio.Event()

        def lose(_connection: object) -> None:
            lost.set()

        async with self._db.connection() as connection:
            connection.add_termination_listener(lose)
            try:
                await connection.add_listener(CHANNEL, self._heard)
                self._wake_everyone()
                while not await _happens(lost, _ALIVE_EVERY_SECONDS):
                    await connection.fetchval("SELECT 1")
            finally:
                connection.remove_termination_listener(lose)
                await connection.remove_listener(CHANNEL, self._heard)

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: Any) -> None:
        for woken in self._followers.get(UUID(payload), ()):
            woken.set()

    def _wake_everyone(self) -> None:
        """What was recorded while nobody listened is read now."""
        for followers in self._followers.values():
            for woken in followers:
                woken.set()


async def _happens(event: asyncio.Event, within_seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within_seconds)
    return event.is_set()
