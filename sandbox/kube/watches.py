"""Watches: the events of a resource since a revision, as lines of JSON, until the time is up."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import timedelta

from sandbox.kube.documents import Document, encode
from sandbox.kube.resources import Resource
from sandbox.kube.status import ApiError, expired
from sandbox.kube.store import Event, EventType, Store
from sandbox.kube.tables import Form
from sandbox.kube.views import Selection

_BOOKMARK_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    selection: Selection
    since: int
    """Events after this revision are sent; 0 stands for the present state and what follows."""
    wants_state: bool
    """Whether the present objects come first, as ADDED events."""
    ends_state_with_bookmark: bool
    allows_bookmarks: bool
    form: Form
    duration: timedelta


async def watch(store: Store, request: WatchRequest) -> AsyncGenerator[bytes, None]:
    """Yield chunks of whole lines as soon as there is something to say, and empty ones between.

    A revision that is no longer covered yields one ERROR line with a 410 and ends, as on a real
    server; a revision that lies in the future is waited for until the time is up.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.duration.total_seconds()
    history = store.history(request.selection.resource.key)
    bookmarks = _BOOKMARK_INTERVAL.total_seconds() if request.allows_bookmarks else math.inf
    bookmark_at = loop.time() + bookmarks
    seen = request.since
    if request.wants_state:
        seen = store.revision
        yield b"".join(_state(store, request))
    while True:
        # All of this is read in one step: what happens while a chunk is sent comes next time.
        changed, missed, reached = history.changed, seen < history.floor, store.revision
        lines = b"".join(_lines(history.since(seen), request))
        if missed:
            yield error_line(expired(seen, history.floor))
            return
        seen = max(seen, reached)
        if loop.time() >= bookmark_at:
            lines += _bookmark(request.selection.resource, seen)
            bookmark_at = loop.time() + bookmarks
        yield lines
        if store.is_ending or loop.time() >= deadline:
            return
        await _wait(changed, min(deadline, bookmark_at) - loop.time())


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await changed.wait()
    except TimeoutError:
        return


def error_line(failure: ApiError) -> bytes:
    return encode({"type": "ERROR", "object": failure.body()}) + b"\n"


def _state(store: Store, request: WatchRequest) -> Iterator[bytes]:
    selection = request.selection
    for stored in store.all(selection.resource.key, selection.namespace):
        if selection.accepts(stored):
            yield _line(EventType.ADDED, request.form.one(stored, selection.resource))
    if request.ends_state_with_bookmark:
        ended = {"k8s.io/initial-events-end": "true"}
        yield _bookmark(selection.resource, store.revision, annotations=ended)


def _lines(events: list[Event], request: WatchRequest) -> Iterator[bytes]:
    selection = request.selection
    for event in events:
        happened = _as_selected(event, selection)
        if happened is not None:
            yield _line(happened, request.form.one(event.stored, selection.resource))


def _as_selected(event: Event, selection: Selection) -> EventType | None:
    """Return what an event is to a watcher that sees only what its selectors accept."""
    was_in = event.previous is not None and selection.accepts(event.previous)
    is_in = event.type is not EventType.DELETED and selection.accepts(event.stored)
    if is_in:
        return EventType.MODIFIED if was_in else EventType.ADDED
    return EventType.DELETED if was_in else None


def _line(happened: EventType, encoded: bytes) -> bytes:
    return b'{"type":"' + happened.encode() + b'","object":' + encoded + b"}\n"


def _bookmark(
    resource: Resource, revision: int, annotations: dict[str, str] | None = None
) -> bytes:
    metadata: Document = {"resourceVersion": str(revision), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    body = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return encode({"type": "BOOKMARK", "object": body}) + b"\n"
