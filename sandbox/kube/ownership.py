"""Who owns which field: server-side apply and the record of every other write in managedFields.

The rules are those of structured-merge-diff: a manager that applies owns what it states, a manager
that updates owns what it changed, and a field goes when its last owner stops stating it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sandbox.kube.documents import Document, Schema, now, section
from sandbox.kube.fieldsets import (
    NOTHING,
    FieldSet,
    Path,
    as_text,
    from_fields_v1,
    to_fields_v1,
    with_ancestors,
)
from sandbox.kube.status import Cause, CauseReason, apply_conflict
from sandbox.kube.structure import applied_fields, compared, merged, without

_SYSTEM_METADATA = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
    }
)

_UNOWNABLE: FieldSet = frozenset({("f:metadata",)})
"""Metadata is no field of its own: it is always there."""


class Operation(StrEnum):
    APPLY = "Apply"
    UPDATE = "Update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """One actor with one way of writing one version of one part of an object."""

    name: str
    operation: Operation
    api_version: str
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    fields: FieldSet
    time: str


Holdings = Mapping[Manager, Holding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A manager at one endpoint of one resource, which says what it can own there."""

    manager: Manager
    schema: Schema
    has_status_endpoint: bool

    def ownable(self, document: Document) -> Document:
        """Return the fields that can be owned here, without what only the server sets."""
        if self.manager.subresource == "status":
            return {"status": document["status"]} if "status" in document else {}
        metadata = section(document, "metadata")
        mine = {name: value for name, value in metadata.items() if name not in _SYSTEM_METADATA}
        foreign = {"apiVersion", "kind", "metadata"}
        if self.has_status_endpoint:
            foreign.add("status")
        rest = {name: value for name, value in document.items() if name not in foreign}
        return {**({"metadata": mine} if mine else {}), **rest}


def apply(live: Document, config: Document, *, writer: Writer, force: bool) -> Document:
    """Return the live object after a manager has applied its configuration.

    Raises a 409 that names the managers and fields in the way, unless the apply is forced.
    """
    before, stated = writer.ownable(live), writer.ownable(config)
    manager, schema = writer.manager, writer.schema
    holdings = read_holdings(live)
    last = holdings[manager].fields if manager in holdings else NOTHING
    own = Holding(fields=applied_fields(stated, schema), time=now())
    holdings[manager] = own
    after = without(merged(before, stated, schema), schema, _abandoned(last, holdings))
    change = compared(before, after, schema)
    conflicts = _conflicts(holdings, manager, change.changed)
    if conflicts and not force:
        raise _refusal(conflicts, holdings)
    taken = {one: fields | change.removed for one, fields in conflicts.items()}
    holdings = {one: _less(held, taken.get(one, change.removed)) for one, held in holdings.items()}
    return _with_holdings(_replaced(live, before, after), {**holdings, manager: own})


def record_update(live: Document, written: Document, *, writer: Writer) -> Document:
    """Return the written object with managedFields that say what this manager changed."""
    change = compared(writer.ownable(live), writer.ownable(written), writer.schema)
    before = read_holdings(live)
    lost = change.changed | change.removed
    holdings = {one: _less(held, lost) for one, held in before.items()}
    if lost:
        own = before[writer.manager].fields if writer.manager in before else NOTHING
        fields = ((own - change.removed) | change.changed) - _UNOWNABLE
        holdings[writer.manager] = Holding(fields=fields, time=now())
    return _with_holdings(written, holdings)


def read_holdings(document: Document) -> dict[Manager, Holding]:
    entries = section(document, "metadata").get("managedFields") or []
    return {
        Manager(
            name=entry["manager"],
            operation=Operation(entry["operation"]),
            api_version=entry["apiVersion"],
            subresource=entry.get("subresource", ""),
        ): Holding(fields=from_fields_v1(entry["fieldsV1"]), time=entry["time"])
        for entry in entries
    }


def _with_holdings(document: Document, holdings: Holdings) -> Document:
    held_in_order = sorted(holdings.items(), key=_written_order)
    entries = [_entry(one, held) for one, held in held_in_order if held.fields]
    metadata = {**section(document, "metadata"), "managedFields": entries}
    if not entries:
        del metadata["managedFields"]
    return {**document, "metadata": metadata}


def _written_order(entry: tuple[Manager, Holding]) -> tuple[str, str, str, str]:
    manager, held = entry
    return (manager.operation, held.time, manager.name, manager.subresource)


def _entry(manager: Manager, held: Holding) -> Document:
    entry = {
        "manager": manager.name,
        "operation": manager.operation.value,
        "apiVersion": manager.api_version,
        "time": held.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(held.fields),
    }
    return {**entry, "subresource": manager.subresource} if manager.subresource else entry


def _replaced(document: Document, before: Document, after: Document) -> Document:
    """Exchange the ownable part of a document and keep the rest of it."""
    kept = {name: value for name, value in document.items() if name not in before}
    owned = section(before, "metadata")
    metadata = section(document, "metadata")
    system = {name: value for name, value in metadata.items() if name not in owned}
    return {**kept, **after, "metadata": {**system, **section(after, "metadata")}}


def _abandoned(last: FieldSet, holdings: Holdings) -> FieldSet:
    still_owned = frozenset[Path]().union(*(held.fields for held in holdings.values()))
    return with_ancestors(last) - with_ancestors(still_owned) - _UNOWNABLE


def _conflicts(holdings: Holdings, manager: Manager, changed: FieldSet) -> dict[Manager, FieldSet]:
    others = ((one, held.fields & changed) for one, held in holdings.items() if one != manager)
    return {one: fields for one, fields in others if fields}


def _less(held: Holding, lost: FieldSet) -> Holding:
    return replace(held, fields=held.fields - lost)


def _refusal(conflicts: Mapping[Manager, FieldSet], holdings: Holdings) -> Exception:
    causes = [
        Cause(
            reason=CauseReason.MANAGER_CONFLICT,
            message=f"conflict with {_described(manager, holdings[manager])}",
            field=as_text(path),
        )
        for manager, fields in conflicts.items()
        for path in sorted(fields)
    ]
    return apply_conflict(_conflict_message(conflicts, holdings), causes)


def _conflict_message(conflicts: Mapping[Manager, FieldSet], holdings: Holdings) -> str:
    count = sum(len(fields) for fields in conflicts.values())
    plural = "" if count == 1 else "s"
    described = []
    for manager, fields in sorted(conflicts.items(), key=lambda entry: entry[0].name):
        paths = [as_text(path) for path in sorted(fields)]
        listed = f" {paths[0]}" if count == 1 else "".join(f"\n- {path}" for path in paths)
        described.append(f"conflict{plural} with {_described(manager, holdings[manager])}:{listed}")
    joined = "\n".join(described)
    return f"Apply failed with {count} conflict{plural}: {joined}"


def _described(manager: Manager, held: Holding) -> str:
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    if manager.operation is Operation.UPDATE:
        text += f" using {manager.api_version} at {held.time}"
    return text
