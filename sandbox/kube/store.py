"""The objects in memory, written through to a state file: revisions, indexes and events.

Nothing here knows what an object means; that is the business of `operations`.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sandbox.kube.documents import Document, decode, encode, section
from sandbox.kube.resources import ResourceKey
from sandbox.kube.state_file import Row, StateFile

_HISTORY_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One revision of one object. The bytes are its truth; the rest is there to find it by."""

    key: ResourceKey
    namespace: str
    name: str
    uid: str
    revision: int
    labels: Mapping[str, str]
    owners: tuple[str, ...]
    is_ending: bool
    encoded: bytes

    def document(self) -> Document:
        """Return a copy of the object that the caller may change."""
        document: Document = decode(self.encoded)
        return document


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    type: EventType
    stored: Stored
    previous: Stored | None


class History:
    """The latest events of one resource, and a way to wait for the next."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        """Every event after this revision is still here; earlier ones may be gone."""
        self.changed = asyncio.Event()
        self._events: deque[Event] = deque()

    def append(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > _HISTORY_LENGTH:
            self.floor = self._events.popleft().stored.revision
        self.wake()

    def since(self, revision: int) -> list[Event]:
        """Return the events after a revision, oldest first. Ask `floor` first."""
        found = []
        for event in reversed(self._events):
            if event.stored.revision <= revision:
                break
            found.append(event)
        return found[::-1]

    def wake(self) -> None:
        """Let everyone who waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class Store:
    """All objects by resource, namespace and name.

    Reads and writes never wait, so a read followed by a write without an `await` between them is
    one step to everyone else.
    """

    def __init__(self, state: StateFile | None = None) -> None:
        self._state = state
        self._objects: defaultdict[ResourceKey, dict[tuple[str, str], Stored]] = defaultdict(dict)
        self._by_uid: dict[str, Stored] = {}
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        self._histories: dict[ResourceKey, History] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self.revision = 0
        self.is_ending = False
        if state is not None:
            self.revision = state.revision()
            for row in state.rows():
                self._index(_stored(row.resource, decode(row.body), row.body))
        self._started_at = self.revision

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call the listener with each event, within the write that caused it."""
        self._listeners.append(listener)

    def get(self, key: ResourceKey, namespace: str, name: str) -> Stored | None:
        return self._objects[key].get((namespace, name))

    def by_uid(self, uid: str) -> Stored | None:
        return self._by_uid.get(uid)

    def all(self, key: ResourceKey, namespace: str | None = None) -> list[Stored]:
        """Return a resource's objects ordered by namespace and name."""
        objects = self._objects[key]
        if namespace is None:
            return [objects[at] for at in sorted(objects)]
        return [objects[at] for at in sorted(at for at in objects if at[0] == namespace)]

    def within(self, namespace: str) -> list[Stored]:
        return [one for one in self if one.namespace == namespace]

    def dependents(self, uid: str) -> list[Stored]:
        """Return the objects that name this one as an owner."""
        return [self._by_uid[one] for one in sorted(self._dependents.get(uid, ()))]

    def history(self, key: ResourceKey) -> History:
        return self._histories.setdefault(key, History(self._started_at))

    def put(self, key: ResourceKey, document: Document) -> Stored:
        """Write an object at the next revision, which is set in its metadata."""
        stored = self._next(key, document)
        if self._state is not None:
            self._state.save(_row(stored), stored.revision)
        previous = self.get(key, stored.namespace, stored.name)
        if previous is not None:
            self._unindex(previous)
        self._index(stored)
        happened = EventType.MODIFIED if previous is not None else EventType.ADDED
        self._publish(Event(type=happened, stored=stored, previous=previous))
        return stored

    def remove(self, previous: Stored, document: Document) -> Stored:
        """Take an object out; the document is its last state, as watchers will see it."""
        stored = self._next(previous.key, document)
        if self._state is not None:
            self._state.drop(_row(stored), stored.revision)
        self._unindex(previous)
        self.revision = stored.revision
        self._publish(Event(type=EventType.DELETED, stored=stored, previous=previous))
        return stored

    def end_watches(self) -> None:
        """Let whoever waits for events know that none will come any more."""
        self.is_ending = True
        self.wake_watches()

    def wake_watches(self) -> None:
        for history in self._histories.values():
            history.wake()

    def close(self) -> None:
        if self._state is not None:
            self._state.close()

    def __iter__(self) -> Iterator[Stored]:
        return iter(tuple(self._by_uid.values()))

    def _next(self, key: ResourceKey, document: Document) -> Stored:
        metadata = {**section(document, "metadata"), "resourceVersion": str(self.revision + 1)}
        written = {**document, "metadata": metadata}
        return _stored(key, written, encode(written))

    def _index(self, stored: Stored) -> None:
        self._objects[stored.key][stored.namespace, stored.name] = stored
        self._by_uid[stored.uid] = stored
        for owner in stored.owners:
            self._dependents[owner].add(stored.uid)
        self.revision = max(self.revision, stored.revision)

    def _unindex(self, stored: Stored) -> None:
        del self._objects[stored.key][stored.namespace, stored.name]
        del self._by_uid[stored.uid]
        for owner in stored.owners:
            self._dependents[owner].discard(stored.uid)
            if not self._dependents[owner]:
                del self._dependents[owner]

    def _publish(self, event: Event) -> None:
        self.history(event.stored.key).append(event)
        for listener in self._listeners:
            listener(event)


def _stored(key: ResourceKey, document: Document, encoded: bytes) -> Stored:
    metadata = document["metadata"]
    return Stored(
        key=key,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        revision=int(metadata["resourceVersion"]),
        labels=metadata.get("labels") or {},
        owners=tuple(owner["uid"] for owner in metadata.get("ownerReferences") or ()),
        is_ending="deletionTimestamp" in metadata,
        encoded=encoded,
    )


def _row(stored: Stored) -> Row:
    return Row(stored.key, stored.namespace, stored.name, stored.encoded)
