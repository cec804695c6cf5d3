"""A rollout's events as they happen: server-sent events with heartbeats and a clean end."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Self
from uuid import UUID

from fastapi.responses import StreamingResponse
from starlette.types import Send

from api.rendering import as_json
from api.schemas.events import EventOut
from domain.errors import NotFound, TransientError
from domain.ports import Registry
from domain.rollout import Event, EventKind

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 10.0
_HEARTBEAT = b": still here\n\n"
_BATCH = 500
# Events that can be the last one; whether they are is the rollout's phase to say.
_LAST = frozenset({EventKind.COMPLETED, EventKind.ROLLED_BACK, EventKind.FAILED})


class EventStream(StreamingResponse):
    """Closes its source at once when the client has gone, instead of leaving it to the collector.

    A store that fails in the middle ends the stream; the client comes back with Last-Event-ID.
    """

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        super().__init__(
            source,
            media_type=EVENT_STREAM,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def stream_response(self, send: Send) -> None:
        source: Any = self.body_iterator
        async with aclosing(source):
            await super().stream_response(send)


async def told(
    registry: Registry,
    project_id: UUID,
    rollout_id: UUID,
    *,
    after: int,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[bytes]:
    """The events behind `after` and those to come, until the rollout's last one."""
    yield b"retry: 2000\n\n"
    with suppress(TransientError, NotFound):
        if not (await registry.rollout(project_id, rollout_id)).phase.is_final:
            feed: Any = registry.follow(project_id, rollout_id, after=after)
            async with aclosing(feed), _Next(feed) as upcoming:
                while True:
                    event = await upcoming.within(heartbeat_seconds)
                    yield _HEARTBEAT if event is None else framed(event)
                    after = after if event is None else event.id
                    if event is not None and event.kind not in _LAST:
                        continue
                    if (await registry.rollout(project_id, rollout_id)).phase.is_final:
                        break
        while rest := await registry.events(project_id, rollout_id, after=after, limit=_BATCH):
            for event in rest:
                yield framed(event)
            after = rest[-1].id


def framed(event: Event) -> bytes:
    """One event on the wire; JSON holds no raw line break, so a single data line does."""
    body = as_json(EventOut.from_domain(event))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.value.encode(), body)


class _Next:
    """Waits for the next item with a limit, without losing it when the limit comes first."""

    def __init__(self, feed: AsyncIterator[Event]) -> None:
        self._feed = feed
        self._task: asyncio.Task[Event] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def within(self, seconds: float) -> Event | None:
        if self._task is None:
            self._task = asyncio.ensure_future(anext(self._feed))
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        if not done:
            return None
        task, self._task = self._task, None
        return task.result()
