"""What a test does behind the API's back: outages, history that grows, things that change."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from domain.errors import TidegateError
from domain.rollout import Event, EventKind, Phase, Rollout
from tests.fakes.registry import MemoryRegistry

_event_ids = count(1)


class Outage:
    """Stands before a registry, or a look over it; while `error` is set, every call raises it.

    `followers` counts the streams that are open. `then` has something happen in between.
    """

    def __init__(self, registry: Any) -> None:
        self.behind = registry
        self.error: TidegateError | None = None
        self.followers = 0
        self._then: dict[str, Callable[[], Awaitable[Any]]] = {}

    def then(self, method: str, happens: Callable[[], Awaitable[Any]]) -> None:
        """Have this happen once, right after the next call of that method."""
        self._then[method] = happens

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            return self._fail
        happens = self._then.pop(name, None)
        return getattr(self.behind, name) if happens is None else self._followed_by(name, happens)

    def _followed_by(self, name: str, happens: Callable[[], Awaitable[Any]]) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            answer = await getattr(self.behind, name)(*args, **options)
            await happens()
            return answer

        return call

    async def follow(self, *ids: UUID, after: int) -> AsyncIterator[Event]:
        self.followers += 1
        try:
            source: Any = self.behind.follow(*ids, after=after)
            async with aclosing(source) as feed:
                async for event in feed:
                    yield event
        finally:
            self.followers -= 1

    async def _fail(self, *_: Any, **__: Any) -> Any:
        assert self.error is not None
        raise self.error


def change(registry: MemoryRegistry, kind: type, thing_id: UUID | str, **changes: Any) -> Any:
    """Change a thing as the journal would."""
    kept = registry.things[kind]
    kept[UUID(str(thing_id))] = replace(kept[UUID(str(thing_id))], **changes)
    return kept[UUID(str(thing_id))]


async def tell(
    registry: MemoryRegistry,
    rollout_id: UUID | str,
    kind: EventKind,
    message: str = "",
    phase: Phase | None = None,
) -> Event:
    """Record an event as the journal would, and the phase that is entered with it."""
    now, rollout = datetime.now(UTC), UUID(str(rollout_id))
    event = Event(
        id=next(_event_ids),
        rollout_id=rollout,
        kind=kind,
        message=message,
        at=now,
        step=None,
        data={},
    )
    if phase is not None:
        ended = now if phase.is_final else None
        change(registry, Rollout, rollout, phase=phase, phase_reason=message, ended_at=ended)
    registry.told[rollout].append(event)
    async with registry.news:
        registry.news.notify_all()
    return event
