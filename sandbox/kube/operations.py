"""Reads and writes of objects: what each verb does to the store, and in which order.

A write is drafted, its owner recorded, checked, and only then stored; a dry run stops before the
last step. HTTP and the wording of requests stop at the door of this module.
"""

from sandbox.kube import builtin, checks, drafts, ownership, status
from sandbox.kube.documents import Document, decode, encode, section
from sandbox.kube.kinds import finished
from sandbox.kube.metadata import generated_name
from sandbox.kube.ownership import Manager, Operation, Writer
from sandbox.kube.resources import Resource
from sandbox.kube.schemas import without_nulls
from sandbox.kube.store import Store, Stored
from sandbox.kube.targets import Answer, DeleteOptions, Draft, Target, WriteOptions
from sandbox.kube.views import Selection, presented


class Operations:
    """The verbs. Each runs in one step: no other request sees or changes anything meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, target: Target) -> Stored:
        """Return the live object. Raises the 404 where there is none."""
        found = self._found(target)
        if found is None:
            raise status.not_found(**target.named)
        return found

    def selected(self, selection: Selection) -> list[Stored]:
        found = self._store.all(selection.resource.key, selection.namespace)
        return [stored for stored in found if selection.accepts(stored)]

    def create(self, target: Target, body: Document, options: WriteOptions) -> Answer:
        checks.check_kind(target, body)
        checks.check_namespace(target, body)
        if section(body, "metadata").get("resourceVersion"):
            raise status.revision_on_create()
        named = self._named(target, body)
        self._check_home(named)
        document = drafts.newborn(named, body)
        recorded = ownership.record_update({}, document, writer=_updater(named, options))
        return self._commit(Draft(target=named, before={}, document=recorded), options)

    def replace(self, target: Target, body: Document, options: WriteOptions) -> Answer:
        live = self.get(target)
        checks.check_name(target, body)
        if target.resource.needs_revision_on_update:
            checks.check_revision_given(target, body)
        return self.update(target, live, body, options)

    def update(
        self, target: Target, live: Stored, written: Document, options: WriteOptions
    ) -> Answer:
        """Write a whole new state over a live one; who changed what is recorded."""
        checks.check_kind(target, written)
        checks.check_namespace(target, written)
        before = live.document()
        checks.check_unmoved(target, before, written)
        document = drafts.redrawn(target, before, written)
        recorded = ownership.record_update(before, document, writer=_updater(target, options))
        return self._commit(Draft(target=target, before=before, document=recorded), options)

    def patch_source(self, target: Target) -> tuple[Stored, Document]:
        """Return the live object, and what a patch starts from: it in the version asked for."""
        live = self.get(target)
        document: Document = decode(presented(live, target.resource))
        return live, document

    def apply(self, target: Target, config: Document, options: WriteOptions) -> Answer:
        """Server-side apply: create the object or take part in it, as the manager states."""
        checks.check_config(target, config)
        stated = without_nulls(config, target.resource.schema)
        writer = _writer(target, Operation.APPLY, options)
        live = self._found(target)
        if live is None:
            return self._apply_first(target, stated, writer, options)
        before = live.document()
        checks.check_unmoved(target, before, config)
        applied = ownership.apply(before, stated, writer=writer, force=options.force)
        document = drafts.owned_as(applied, drafts.redrawn(target, before, applied))
        return self._commit(Draft(target=target, before=before, document=document), options)

    def delete(self, target: Target, options: DeleteOptions) -> Answer:
        live = self.get(target)
        before = live.document()
        checks.check_preconditions(target, before, options)
        document = drafts.ending(target, before, options.propagation)
        if options.is_dry_run:
            return Answer(body=encode(document))
        if drafts.may_go(document):
            return Answer(body=_farewell(target, self._store.remove(live, document)))
        if document != before:
            live = self._store.put(target.resource.key, document)
        return Answer(body=presented(live, target.resource))

    def delete_all(self, selection: Selection, options: DeleteOptions) -> list[bytes]:
        """Delete what is selected and return it as it was."""
        found = self.selected(selection)
        for stored in found:
            self.delete(target_of(selection.resource, stored), options)
        return [presented(stored, selection.resource) for stored in found]

    def _found(self, target: Target) -> Stored | None:
        return self._store.get(target.resource.key, target.namespace, target.name)

    def _named(self, target: Target, body: Document) -> Target:
        given = section(body, "metadata")
        resource, namespace = target.resource, target.namespace
        name, prefix = given.get("name") or "", given.get("generateName")
        if name or not prefix:
            return Target(resource=resource, namespace=namespace, name=name)
        while True:
            name = generated_name(str(prefix))
            candidate = Target(resource=resource, namespace=namespace, name=name)
            if self._found(candidate) is None:
                return candidate

    def _check_home(self, target: Target) -> None:
        if not target.resource.namespaced:
            return
        home = self._store.get(builtin.NAMESPACES, "", target.namespace)
        if home is None:
            raise status.not_found(group="", plural="namespaces", name=target.namespace)
        if home.is_ending:
            raise status.namespace_terminating(**target.named, namespace=target.namespace)

    def _apply_first(
        self, target: Target, config: Document, writer: Writer, options: WriteOptions
    ) -> Answer:
        """Create what is applied; only a whole object can be, and not one known by its uid."""
        if target.subresource:
            raise status.not_found(**target.named)
        uid = section(config, "metadata").get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object"
            raise status.conflict(**target.named, why=f"{why} was found")
        self._check_home(target)
        blank = {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {}}
        applied = ownership.apply(blank, config, writer=writer, force=options.force)
        document = drafts.owned_as(applied, drafts.newborn(target, applied))
        return self._commit(Draft(target=target, before={}, document=document), options)

    def _commit(self, draft: Draft, options: WriteOptions) -> Answer:
        checks.check_valid(draft)
        target, before = draft.target, draft.before
        document = finished(target.resource, draft.document)
        live = self._found(target)
        if not before and live is not None:
            raise status.already_exists(**target.named)
        if live is not None:
            document = drafts.with_generation(target, before, document)
            if drafts.is_same(before, document):
                return Answer(body=presented(live, target.resource))
        if options.is_dry_run:
            return Answer(body=encode(document), is_new=live is None)
        if live is not None and drafts.may_go(document):
            return Answer(body=presented(self._store.remove(live, document), target.resource))
        stored = self._store.put(target.resource.key, document)
        return Answer(body=presented(stored, target.resource), is_new=live is None)


def target_of(resource: Resource, stored: Stored) -> Target:
    return Target(resource=resource, namespace=stored.namespace, name=stored.name)


def _updater(target: Target, options: WriteOptions) -> Writer:
    return _writer(target, Operation.UPDATE, options)


def _writer(target: Target, operation: Operation, options: WriteOptions) -> Writer:
    manager = Manager(
        name=options.manager,
        operation=operation,
        api_version=target.resource.api_version,
        subresource=target.subresource,
    )
    return Writer(
        manager=manager,
        schema=target.resource.schema,
        has_status_endpoint=target.resource.has_status,
    )


def _farewell(target: Target, gone: Stored) -> bytes:
    if target.resource.answers_delete_with_object:
        return presented(gone, target.resource)
    return encode(status.success(**target.named, uid=gone.uid))
