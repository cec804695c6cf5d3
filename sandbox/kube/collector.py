"""What controllers of a real cluster do after a delete: dependents, namespaces and definitions.

It runs after the writes that call for it, never within them, as its models do.
"""

import asyncio
import logging
from collections import deque

from sandbox.kube import builtin, drafts
from sandbox.kube.definitions import CLEANUP_FINALIZER, defined_resources
from sandbox.kube.documents import Document
from sandbox.kube.operations import Operations, target_of
from sandbox.kube.resources import Registry, Resource, resource_key
from sandbox.kube.store import Event, EventType, Store, Stored
from sandbox.kube.targets import DeleteOptions, Propagation, WriteOptions

_log = logging.getLogger(__name__)

_FOREGROUND = drafts.FINALIZER_OF[Propagation.FOREGROUND]
_ORPHAN = drafts.FINALIZER_OF[Propagation.ORPHAN]
_OPTIONS = WriteOptions(manager="kube-controller-manager")


class Collector:
    """Takes note of events and tidies up after them in the order in which they came."""

    def __init__(self, store: Store, registry: Registry, operations: Operations) -> None:
        self._store = store
        self._registry = registry
        self._operations = operations
        self._noted: deque[str] = deque(stored.uid for stored in store)
        self._wake = asyncio.Event()
        self._wake.set()
        store.subscribe(self._note)

    async def run(self) -> None:
        """Tidy up for ever; at first all objects are looked at, as after a restart."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._noted:
                self._tidy(self._noted.popleft())
                await asyncio.sleep(0)

    def _note(self, event: Event) -> None:
        stored = event.stored
        if event.type is EventType.DELETED:
            uids = [one.uid for one in self._store.dependents(stored.uid)]
            uids += [*stored.owners, *self._holders(stored)]
        else:
            uids = [stored.uid] if stored.owners or stored.is_ending else []
        self._noted.extend(uids)
        self._wake.set()

    def _holders(self, gone: Stored) -> list[str]:
        """Return the uids of the namespace and the definition that may wait for this object."""
        home = self._store.get(builtin.NAMESPACES, "", gone.namespace)
        definition = self._store.get(builtin.DEFINITIONS, "", gone.key)
        return [one.uid for one in (home, definition) if one is not None and one.is_ending]

    def _tidy(self, uid: str) -> None:
        stored = self._store.by_uid(uid)
        resource = self._registry.stored_as(stored.key) if stored is not None else None
        if stored is None or resource is None:
            return
        try:
            self._tidy_object(resource, stored)
        except Exception:  # noqa: BLE001  # one object that fails must not keep the others waiting
            _log.exception("could not tidy up after %s/%s", stored.key, stored.name)

    def _tidy_object(self, resource: Resource, stored: Stored) -> None:
        if stored.owners and not stored.is_ending and self._is_abandoned(resource, stored):
            self._delete(stored)
        elif stored.is_ending:
            self._finish(resource, stored)

    def _is_abandoned(self, resource: Resource, stored: Stored) -> bool:
        """Whether all owners are gone; those that are gone are struck out of a longer list."""
        alive = {uid for uid in stored.owners if self._store.by_uid(uid) is not None}
        if not alive:
            return True
        if len(alive) < len(stored.owners):
            self._strike_owners(resource, stored, set(stored.owners) - alive)
        return False

    def _finish(self, resource: Resource, stored: Stored) -> None:
        """Do what the finalizers of an ending object wait for, and take those away."""
        document = stored.document()
        finalizers = document["metadata"].get("finalizers") or []
        if stored.key == builtin.NAMESPACES:
            self._empty_namespace(resource, stored, document)
        elif _ORPHAN in finalizers:
            for dependent in self._store.dependents(stored.uid):
                kept = self._registry.stored_as(dependent.key)
                if kept is not None:
                    self._strike_owners(kept, dependent, {stored.uid})
            self._release(resource, stored, document, _ORPHAN)
        elif _FOREGROUND in finalizers:
            if not self._end_dependents(stored):
                self._release(resource, stored, document, _FOREGROUND)
        elif CLEANUP_FINALIZER in finalizers:
            self._withdraw(resource, stored, document)

    def _end_dependents(self, owner: Stored) -> bool:
        """Delete the dependents of an owner; return whether any still holds it."""
        held = False
        for dependent in self._store.dependents(owner.uid):
            references = dependent.document()["metadata"]["ownerReferences"]
            blocks = any(
                one.get("blockOwnerDeletion") for one in references if one["uid"] == owner.uid
            )
            if not dependent.is_ending:
                self._delete(dependent, Propagation.FOREGROUND)
            held = held or (blocks and self._store.by_uid(dependent.uid) is not None)
        return held

    def _empty_namespace(self, resource: Resource, stored: Stored, document: Document) -> None:
        for content in self._store.within(stored.name):
            if not content.is_ending:
                self._delete(content)
        if not self._store.within(stored.name) and document["spec"].get("finalizers"):
            released = {**document, "spec": {**document["spec"], "finalizers": []}}
            self._operations.update(target_of(resource, stored), stored, released, _OPTIONS)

    def _withdraw(self, resource: Resource, stored: Stored, document: Document) -> None:
        spec = document["spec"]
        key = resource_key(spec["group"], spec["names"]["plural"])
        for content in self._store.all(key):
            if not content.is_ending:
                self._delete(content)
        if not self._store.all(key):
            self._release(resource, stored, document, CLEANUP_FINALIZER)

    def _release(
        self, resource: Resource, stored: Stored, document: Document, finalizer: str
    ) -> None:
        metadata = document["metadata"]
        left = [one for one in metadata["finalizers"] if one != finalizer]
        released = {**document, "metadata": {**metadata, "finalizers": left}}
        self._operations.update(target_of(resource, stored), stored, released, _OPTIONS)

    def _strike_owners(self, resource: Resource, stored: Stored, gone: set[str]) -> None:
        document = stored.document()
        metadata = document["metadata"]
        left = [one for one in metadata["ownerReferences"] if one["uid"] not in gone]
        written = {**document, "metadata": {**metadata, "ownerReferences": left}}
        self._operations.update(target_of(resource, stored), stored, written, _OPTIONS)

    def _delete(self, stored: Stored, how: Propagation = Propagation.BACKGROUND) -> None:
        resource = self._registry.stored_as(stored.key)
        if resource is not None and self._store.by_uid(stored.uid) is not None:
            self._operations.delete(target_of(resource, stored), DeleteOptions(propagation=how))


def follow_definitions(store: Store, registry: Registry) -> None:
    """Keep the registry in step with the stored definitions, from now on."""
    for stored in store.all(builtin.DEFINITIONS):
        _register(registry, stored)

    def follow(event: Event) -> None:
        if event.stored.key != builtin.DEFINITIONS:
            return
        registry.withdraw(event.stored.name)
        if event.type is not EventType.DELETED:
            _register(registry, event.stored)

    store.subscribe(follow)


def _register(registry: Registry, stored: Stored) -> None:
    for resource in defined_resources(stored.document()):
        registry.add(resource)
