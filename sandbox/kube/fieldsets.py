"""Sets of field paths and their written form, FieldsV1.

A path is a tuple of elements in the notation of FieldsV1: `f:<field>`, `k:<keys of a list item>`,
`v:<value of a set member>`. What the elements of a value are is told in `structure`.
"""

import json
from collections.abc import Iterable, Iterator

from sandbox.kube.documents import Document

Path = tuple[str, ...]
FieldSet = frozenset[Path]

NOTHING: FieldSet = frozenset()
_SELF = "."


def to_fields_v1(fields: FieldSet) -> Document:
    root: Document = {}
    for path in sorted(fields):
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in fields:
        node = root
        for element in path:
            node = node[element]
        if any(key != _SELF for key in node):
            node[_SELF] = {}
    return root


def from_fields_v1(document: Document) -> FieldSet:
    return frozenset(_paths(document, ()))


def _paths(node: Document, at: Path) -> Iterator[Path]:
    for element, child in node.items():
        if element == _SELF:
            yield at
        elif child:
            yield from _paths(child, (*at, element))
        else:
            yield (*at, element)


def with_ancestors(fields: Iterable[Path]) -> FieldSet:
    """Return the set and every path on the way to its members."""
    return frozenset(path[:end] for path in fields for end in range(1, len(path) + 1))


def as_text(path: Path) -> str:
    """Write a path as conflict messages do: `.spec.containers[name="web"].image`."""
    return "".join(_element_text(element) for element in path)


def _element_text(element: str) -> str:
    form, body = element[0], element[2:]
    if form == "f":
        return f".{body}"
    if form == "v":
        return f"[={body}]"
    keys = json.loads(body).items()
    return "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys) + "]"
