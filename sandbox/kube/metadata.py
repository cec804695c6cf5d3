"""The metadata of objects: what it may say, and what the server sets in it."""

import re
import secrets
import uuid
from collections.abc import Iterator
from typing import Any

from sandbox.kube.documents import Document, Schema, now, section
from sandbox.kube.status import Cause, CauseReason

SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "uid": {"type": "string"},
        "resourceVersion": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {
            "type": "array",
            "items": {"type": "string"},
            "x-kubernetes-list-type": "set",
        },
        "ownerReferences": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "x-kubernetes-map-type": "atomic",
                "properties": {
                    "apiVersion": {"type": "string", "minLength": 1},
                    "kind": {"type": "string", "minLength": 1},
                    "name": {"type": "string", "minLength": 1},
                    "uid": {"type": "string", "minLength": 1},
                    "controller": {"type": "boolean"},
                    "blockOwnerDeletion": {"type": "boolean"},
                },
            },
        },
    },
}

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"^{_LABEL}(\.{_LABEL})*$")
_NAME_RULES = {
    "subdomain": (_SUBDOMAIN, 253, "a lowercase RFC 1123 subdomain"),
    "label": (re.compile(rf"^{_LABEL}$"), 63, "a lowercase RFC 1123 label"),
    "service": (re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), 63, "a DNS-1035 label"),
}
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_LABEL_LIMIT = 63
_ANNOTATION_BYTES_LIMIT = 256 * 1024

# The alphabet that real servers use: no vowels, so that no words arise.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5


def generated_name(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))


def born(metadata: Document, *, name: str, namespace: str, has_generation: bool) -> Document:
    """Return the metadata of a new object: what the client may say, and what the server adds."""
    theirs = {key: value for key, value in metadata.items() if key not in _SET_BY_SERVER}
    ours: Document = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
    if namespace:
        ours["namespace"] = namespace
    if has_generation:
        ours["generation"] = 1
    return {**theirs, **ours}


def carried_over(live: Document, written: Document) -> Document:
    """Return the metadata of an update: the client's, with the server's own fields kept as live."""
    theirs = {key: value for key, value in written.items() if key not in _SET_BY_SERVER}
    ours = {key: live[key] for key in (*_SET_BY_SERVER, "name", "namespace") if key in live}
    return {**theirs, **ours}


_SET_BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)


def name_causes(name: Any, rule: str) -> Iterator[Cause]:
    pattern, longest, what = _NAME_RULES[rule]
    if not isinstance(name, str) or not name:
        message = "Required value: name or generateName is required"
        yield Cause(reason=CauseReason.REQUIRED, message=message, field="metadata.name")
    elif len(name) > longest:
        yield _invalid("metadata.name", name, f"must be no more than {longest} characters")
    elif not pattern.match(name):
        yield _invalid("metadata.name", name, f"{what} must match '{pattern.pattern}'")


def metadata_causes(metadata: Document) -> Iterator[Cause]:
    """Yield what is wrong with labels, annotations and owners; their types are checked already."""
    for key, value in section(metadata, "labels").items():
        yield from _key_causes(key, "metadata.labels")
        if len(value) > _LABEL_LIMIT or not _LABEL_VALUE.match(value):
            rule = "a valid label must be 63 characters or less of [-A-Za-z0-9_.]"
            yield _invalid("metadata.labels", value, rule)
    annotations = section(metadata, "annotations")
    for key in annotations:
        yield from _key_causes(key, "metadata.annotations")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _ANNOTATION_BYTES_LIMIT:
        message = f"Too long: may not be more than {_ANNOTATION_BYTES_LIMIT} bytes"
        yield Cause(reason=CauseReason.TOO_LONG, message=message, field="metadata.annotations")
    owners = metadata.get("ownerReferences") or []
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        why = "Only one reference can have Controller set to true"
        yield _invalid("metadata.ownerReferences", "[...]", why)


def _key_causes(key: str, field: str) -> Iterator[Cause]:
    prefix, _, name = key.rpartition("/")
    if len(name) > _LABEL_LIMIT or not _QUALIFIED.match(name):
        yield _invalid(field, key, "name part must consist of [-A-Za-z0-9_.], at most 63 of them")
    if "/" in key and not _SUBDOMAIN.match(prefix):
        yield _invalid(field, key, "prefix part must be a lowercase RFC 1123 subdomain")


def new_finalizers_cause(live: Document, written: Document) -> Iterator[Cause]:
    """Yield the refusal of finalizers added to an object that is being deleted."""
    added = set(written.get("finalizers") or ()) - set(live.get("finalizers") or ())
    if live.get("deletionTimestamp") and added:
        message = (
            "Forbidden: no new finalizers can be added if the object is being deleted, found new "
            f"finalizers {sorted(added)}"
        )
        yield Cause(reason=CauseReason.FORBIDDEN, message=message, field="metadata.finalizers")


def _invalid(field: str, value: str, why: str) -> Cause:
    message = f'Invalid value: "{value}": {why}'
    return Cause(reason=CauseReason.INVALID, message=message, field=field)
