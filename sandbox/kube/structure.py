"""How a value is divided into fields: which lists and maps are merged and which are taken whole.

The schema says so (x-kubernetes-list-type, x-kubernetes-map-type). Lists are whole unless marked
otherwise, maps are divided unless marked otherwise, as with custom resources on a real server.
Everything here returns new values and leaves its arguments as they are.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sandbox.kube.documents import Document, Schema, is_equal
from sandbox.kube.fieldsets import FieldSet, Path

_UNKNOWN: Schema = {}
_ABSENT = object()


class Part(NamedTuple):
    """One field, list item or set member of a value."""

    value: Any
    schema: Schema
    is_declared: bool
    """Whether the schema names this field: then a parent's path stands for no value of its own."""


class Comparison(NamedTuple):
    changed: FieldSet
    """Paths added or modified."""
    removed: FieldSet


def field_schema(schema: Schema, name: str) -> Schema:
    """Return what the schema says of a field; nothing when it is unknown to it."""
    declared = schema.get("properties", _UNKNOWN).get(name)
    if declared is not None:
        return declared  # type: ignore[no-any-return]  # schemas are JSON, checked when defined
    extra = schema.get("additionalProperties")
    return extra if isinstance(extra, Mapping) else _UNKNOWN


def item_schema(schema: Schema) -> Schema:
    return schema.get("items") or _UNKNOWN


def list_keys(schema: Schema) -> tuple[str, ...]:
    """Return the keys that tell the items of a list apart; none when it is no such list."""
    if schema.get("x-kubernetes-list-type") != "map":
        return ()
    return tuple(schema.get("x-kubernetes-list-map-keys", ()))


def parts(value: Any, schema: Schema) -> dict[str, Part] | None:
    """Return the parts of a value by their path element, or None when it is taken whole."""
    if isinstance(value, dict) and schema.get("x-kubernetes-map-type") != "atomic":
        declared = schema.get("properties", _UNKNOWN)
        return {
            f"f:{name}": Part(child, field_schema(schema, name), name in declared)
            for name, child in value.items()
        }
    if isinstance(value, list) and (keys := list_keys(schema)):
        return _keyed_items(value, item_schema(schema), keys)
    if isinstance(value, list) and schema.get("x-kubernetes-list-type") == "set":
        items = item_schema(schema)
        return {f"v:{_text(one)}": Part(one, items, False) for one in value}
    return None


def _keyed_items(value: list[Any], items: Schema, keys: tuple[str, ...]) -> dict[str, Part] | None:
    if not all(isinstance(item, dict) for item in value):
        return None
    named = ((_item_element(item, items, keys), item) for item in value)
    return {element: Part(item, items, False) for element, item in named}


def _item_element(item: Document, items: Schema, keys: tuple[str, ...]) -> str:
    defaults = {key: field_schema(items, key).get("default") for key in keys}
    return f"k:{_text({key: item.get(key, defaults[key]) for key in sorted(keys)})}"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def applied_fields(value: Any, schema: Schema, at: Path = ()) -> FieldSet:
    """Return the fields that an applied configuration states, hence owns."""
    found: set[Path] = set()
    for element, part in (parts(value, schema) or {}).items():
        path = (*at, element)
        inner = parts(part.value, part.schema)
        if not inner or not part.is_declared:
            found.add(path)
        if inner:
            found |= applied_fields(part.value, part.schema, path)
    return frozenset(found)


def compared(old: Any, new: Any, schema: Schema) -> Comparison:
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(Part(old, schema, True), Part(new, schema, True), (), changed, removed)
    return Comparison(frozenset(changed), frozenset(removed))


def _compare(
    old: Part | None, new: Part | None, at: Path, changed: set[Path], removed: set[Path]
) -> None:
    old_parts = parts(old.value, old.schema) if old else None
    new_parts = parts(new.value, new.schema) if new else None
    if old is None:
        changed.add(at)
    elif new is None:
        removed.add(at)
    elif (old_parts is None or new_parts is None) and not is_equal(old.value, new.value):
        changed.add(at)
    for element in {**(old_parts or {}), **(new_parts or {})}:
        before, after = (old_parts or {}).get(element), (new_parts or {}).get(element)
        _compare(before, after, (*at, element), changed, removed)


def merged(live: Any, applied: Any, schema: Schema) -> Any:
    """Return the live value with everything that the applied one states laid over it."""
    old, new = parts(live, schema), parts(applied, schema)
    if old is None or new is None or type(live) is not type(applied):
        return applied
    together = {element: part.value for element, part in old.items()}
    for element, part in new.items():
        before = together.get(element, _ABSENT)
        whole = before is _ABSENT
        together[element] = part.value if whole else merged(before, part.value, part.schema)
    return _rebuilt(live, together)


def without(value: Any, schema: Schema, doomed: FieldSet, at: Path = ()) -> Any:
    """Return the value with the doomed paths and all below them gone; list keys always stay."""
    inner = parts(value, schema)
    if inner is None:
        return value
    kept_names = {f"f:{key}" for key in _own_keys(at)}
    kept = {
        element: without(part.value, part.schema, doomed, (*at, element))
        for element, part in inner.items()
        if element in kept_names or (*at, element) not in doomed
    }
    return _rebuilt(value, kept)


def _own_keys(at: Path) -> tuple[str, ...]:
    is_list_item = bool(at) and at[-1].startswith("k:")
    return tuple(json.loads(at[-1][2:])) if is_list_item else ()


def _rebuilt(like: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(like, dict):
        return {element.removeprefix("f:"): value for element, value in values.items()}
    return list(values.values())
