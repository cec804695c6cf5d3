"""Objects as the rows that `kubectl get` prints: the columns of a definition, filled."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kube.documents import Document, encode
from sandbox.kube.jsonpaths import found_at
from sandbox.kube.resources import Resource
from sandbox.kube.store import Stored
from sandbox.kube.views import list_bytes, presented

_META = "meta.k8s.io/v1"
_NAME: Document = {"name": "Name", "type": "string", "format": "name", "jsonPath": ".metadata.name"}
_AGE: Document = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_TABLE = re.compile(r"application/json\s*;[^,]*\bas=Table\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a client wants to see objects: each as it is, or as the rows of a table."""

    is_table: bool = False
    has_whole_objects: bool = False

    def one(self, stored: Stored, resource: Resource) -> bytes:
        if not self.is_table:
            return presented(stored, resource)
        return self.many([stored], resource, {"resourceVersion": str(stored.revision)})

    def many(self, objects: Sequence[Stored], resource: Resource, metadata: Document) -> bytes:
        if not self.is_table:
            return list_bytes(resource, [presented(one, resource) for one in objects], metadata)
        return table(resource, objects, metadata, whole=self.has_whole_objects)


def wanted_form(accept: str, query: Mapping[str, str]) -> Form:
    """Read an Accept header: a table is sent only to who asks for it before anything else."""
    is_table = _TABLE.match(accept.strip()) is not None
    return Form(is_table=is_table, has_whole_objects=query.get("includeObject") == "Object")


def table(
    resource: Resource, objects: Iterable[Stored], metadata: Document, *, whole: bool = False
) -> bytes:
    """Return a table; its rows carry the metadata of their objects, or all of them."""
    columns = [_NAME, *(resource.columns or (_AGE,))]
    body = {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": metadata,
        "columnDefinitions": [_definition(column) for column in columns],
        "rows": [_row(stored.document(), columns, whole=whole) for stored in objects],
    }
    return encode(body)


def _definition(column: Document) -> Document:
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description", ""),
        "priority": column.get("priority", 0),
    }


def _row(document: Document, columns: list[Document], *, whole: bool) -> Document:
    kind = {"kind": "PartialObjectMetadata", "apiVersion": _META}
    partial = {**kind, "metadata": document["metadata"]}
    cells = [_cell(document, column) for column in columns]
    return {"cells": cells, "object": document if whole else partial}


def _cell(document: Document, column: Document) -> Any:
    found = found_at(document, column["jsonPath"])
    if not found:
        return "<none>" if column["type"] == "string" else None
    if column["type"] == "date":
        return _age(str(found[0]))
    if len(found) == 1 and not isinstance(found[0], list | dict):
        return found[0]
    shown = found[0] if len(found) == 1 else found
    return encode(shown).decode() if isinstance(shown, dict) else ",".join(map(str, shown))


def _age(timestamp: str) -> str:
    try:
        since = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<unknown>"
    return short(datetime.now(UTC) - since)


def short(age: timedelta) -> str:
    """Write an age in the one or two units that matter: `45s`, `3m20s`, `5h`, `12d`."""
    seconds = max(int(age.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 2:  # noqa: PLR2004  # the steps of kubectl's own notation, here and below
        return f"{seconds}s"
    if minutes < 10:  # noqa: PLR2004
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:  # noqa: PLR2004
        return f"{minutes}m"
    if hours < 8:  # noqa: PLR2004
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if days < 2 else f"{days}d"  # noqa: PLR2004
