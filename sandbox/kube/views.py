"""How stored objects look from outside: in the version asked for, filtered by selectors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kube.documents import Document, decode, encode
from sandbox.kube.resources import Resource
from sandbox.kube.selectors import Selector
from sandbox.kube.store import Stored

_NAME_FIELDS = ("metadata.name", "metadata.namespace")
_API_VERSION = re.compile(rb'^\{"apiVersion":"([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The objects of one resource that a request is about; no namespace means all of them."""

    resource: Resource
    namespace: str | None
    labels: Selector = field(default_factory=Selector)
    fields: Selector = field(default_factory=Selector)

    def accepts(self, stored: Stored) -> bool:
        if self.namespace is not None and stored.namespace != self.namespace:
            return False
        if self.labels and not self.labels.accepts(stored.labels):
            return False
        return not self.fields or self.fields.accepts(_attributes(stored, self.fields))

    @property
    def is_everything(self) -> bool:
        return not self.labels and not self.fields


def selectable_fields(resource: Resource) -> tuple[str, ...]:
    scoped = _NAME_FIELDS if resource.namespaced else _NAME_FIELDS[:1]
    return (*scoped, *resource.selectable_fields)


def presented(stored: Stored, resource: Resource) -> bytes:
    """Return an object's bytes in the version of this resource; versions differ in name only."""
    match = _API_VERSION.match(stored.encoded)
    if match is not None and match.group(1).decode() == resource.api_version:
        return stored.encoded
    return encode({**decode(stored.encoded), "apiVersion": resource.api_version})


def list_bytes(resource: Resource, items: list[bytes], metadata: Document) -> bytes:
    head = encode(
        {"apiVersion": resource.api_version, "kind": resource.list_kind, "metadata": metadata}
    )
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


def _attributes(stored: Stored, wanted: Selector) -> Mapping[str, str]:
    known = {"metadata.name": stored.name, "metadata.namespace": stored.namespace}
    others = [one.key for one in wanted.requirements if one.key not in known]
    if not others:
        return known
    document = stored.document()
    return known | {path: _text_at(document, path) for path in others}


def _text_at(document: Document, path: str) -> str:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)
