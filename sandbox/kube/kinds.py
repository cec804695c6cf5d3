"""What the server itself adds to, and demands of, objects of the built-in kinds."""

import base64
from collections.abc import Iterator

from sandbox.kube import builtin
from sandbox.kube.definitions import CLEANUP_FINALIZER, definition_causes, established
from sandbox.kube.documents import Document, section
from sandbox.kube.resources import Resource
from sandbox.kube.status import Cause

_SECRETS = "secrets."


def prepared(resource: Resource, document: Document, *, is_new: bool) -> Document:
    """Return the object as the server keeps it; called before each write of its main part."""
    if resource.key == _SECRETS:
        return _secret(document)
    if resource.key == builtin.NAMESPACES:
        return _namespace(document, is_new=is_new)
    if resource.key == builtin.DEFINITIONS and is_new:
        return _with_finalizer(document, CLEANUP_FINALIZER)
    return document


def finished(resource: Resource, document: Document) -> Document:
    """Return a valid object with what the server derives from it."""
    return established(document) if resource.key == builtin.DEFINITIONS else document


def kind_causes(resource: Resource, document: Document) -> Iterator[Cause]:
    """Yield what the schema of a built-in kind cannot say; the schema holds already."""
    if resource.key == builtin.DEFINITIONS:
        yield from definition_causes(document)


def _secret(document: Document) -> Document:
    plain = section(document, "stringData")
    if not plain:
        return document
    encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in plain.items()}
    rest = {name: value for name, value in document.items() if name != "stringData"}
    return {**rest, "data": {**section(document, "data"), **encoded}}


def _namespace(document: Document, *, is_new: bool) -> Document:
    metadata = section(document, "metadata")
    own_label = {"kubernetes.io/metadata.name": metadata["name"]}
    labels = {**section(metadata, "labels"), **own_label}
    spec = {"finalizers": ["kubernetes"]} if is_new else section(document, "spec")
    status = {"phase": "Active"} if is_new else section(document, "status")
    return {
        **document,
        "metadata": {**metadata, "labels": labels},
        "spec": spec,
        "status": status,
    }


def _with_finalizer(document: Document, finalizer: str) -> Document:
    metadata = section(document, "metadata")
    finalizers = [*(metadata.get("finalizers") or ()), finalizer]
    return {**document, "metadata": {**metadata, "finalizers": list(dict.fromkeys(finalizers))}}
