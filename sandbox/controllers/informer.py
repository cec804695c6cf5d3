"""A local copy of all objects of one resource, kept current by list and watch."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from sandbox.controllers.cluster import (
    Cluster,
    ClusterError,
    Expired,
    Key,
    NotThere,
    Object,
    Resource,
)

Listener = Callable[[Key], None]

_log = logging.getLogger(__name__)
_FIRST_DELAY_SECONDS = 0.05
_LONGEST_DELAY_SECONDS = 1.0


class Informer:
    """Tells its listeners which keys have changed, never how: they look at the copy."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        self.resource = resource
        self._cluster = cluster
        self._objects: dict[Key, Object] = {}
        self._listeners: list[Listener] = []
        self._synced = asyncio.Event()
        self._since: str | None = None

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def __iter__(self) -> Iterator[Object]:
        return iter(tuple(self._objects.values()))

    def known(self) -> tuple[Key, ...]:
        return tuple(self._objects)

    async def synced(self) -> None:
        """Returns once the first list has arrived."""
        await self._synced.wait()

    async def run(self) -> None:
        """Lists and watches for ever; an outage of the API is waited out."""
        delay = _FIRST_DELAY_SECONDS
        while True:
            before = self._since
            try:
                if self._since is None:
                    await self._list()
                await self._watch()
            except Expired:
                self._since = None
            except ClusterError as error:
                delay = _FIRST_DELAY_SECONDS if self._since != before else delay
                _log.warning("%s: %s; again in %.2f s", self.resource.plural, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _list(self) -> None:
        try:
            items, since = await self._cluster.list(self.resource)
        except NotThere:
            # The cluster does not serve the resource (yet), so there is none of it.
            self._synced.set()
            raise
        found = {Key.of(item): item for item in items}
        changed = [key for key in self._objects if key not in found]
        changed += [key for key, item in found.items() if self._differs(key, item)]
        self._objects = found
        self._since = since
        self._synced.set()
        self._tell(changed)

    async def _watch(self) -> None:
        """Takes events in until the server ends the watch."""
        async for event in self._cluster.watch(self.resource, self._since or ""):
            self._since = event["object"]["metadata"]["resourceVersion"]
            self._take(event)

    def _take(self, event: Object) -> None:
        if event["type"] == "BOOKMARK":
            return
        key = Key.of(event["object"])
        if event["type"] == "DELETED":
            self._objects.pop(key, None)
        else:
            self._objects[key] = event["object"]
        self._tell([key])

    def _differs(self, key: Key, item: Object) -> bool:
        known = self._objects.get(key)
        if known is None:
            return True
        return bool(known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"])

    def _tell(self, keys: list[Key]) -> None:
        for key in keys:
            for listener in self._listeners:
                listener(key)
