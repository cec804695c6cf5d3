"""CustomResourceDefinitions: what they must say, and the resources that they make."""

from collections.abc import Iterator

from sandbox.kube import metadata
from sandbox.kube.documents import Document, Schema, now, section
from sandbox.kube.resources import Resource
from sandbox.kube.status import Cause, CauseReason

CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def object_schema(schema: Schema) -> Schema:
    """Return the schema of whole objects: the given one with what holds for all metadata."""
    properties = schema.get("properties", {})
    rules = [metadata.SCHEMA, properties.get("metadata", {})]
    declared: Document = {}
    for rule in rules:
        for name, field in rule.get("properties", {}).items():
            declared[name] = {**declared.get(name, {}), **field}
    every = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {**metadata.SCHEMA, "properties": declared},
    }
    return {**schema, "type": "object", "properties": {**properties, **every}}


def defined_resources(definition: Document) -> list[Resource]:
    """Return a resource for each version that the definition serves."""
    versions = definition["spec"]["versions"]
    storage = next(version["name"] for version in versions if version["storage"])
    return [_resource(definition, one, storage) for one in versions if one["served"]]


def _resource(definition: Document, version: Document, storage: str) -> Resource:
    spec = definition["spec"]
    names = spec["names"]
    subresources = section(version, "subresources")
    return Resource(
        group=spec["group"],
        version=version["name"],
        storage_version=storage,
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        kind=names["kind"],
        list_kind=names.get("listKind") or f"{names['kind']}List",
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        has_status="status" in subresources,
        has_generation=True,
        is_custom=True,
        needs_revision_on_update=True,
        selectable_fields=tuple(
            one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or ()
        ),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        schema=object_schema(version["schema"]["openAPIV3Schema"]),
    )


def definition_causes(definition: Document) -> Iterator[Cause]:
    """Yield what a schema cannot say of a definition: its name and its storage version."""
    spec = definition["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    name = definition["metadata"]["name"]
    if name != wanted:
        message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        yield Cause(reason=CauseReason.INVALID, message=message, field="metadata.name")
    stored = [version["name"] for version in spec["versions"] if version["storage"]]
    if len(stored) != 1:
        message = f"Invalid value: {stored}: must have exactly one version marked as storage"
        yield Cause(reason=CauseReason.INVALID, message=message, field="spec.versions")


def established(definition: Document) -> Document:
    """Return the definition as it stands once its resources are served."""
    spec = definition["spec"]
    names = spec["names"]
    accepted = {
        "singular": names["kind"].lower(),
        "listKind": f"{names['kind']}List",
        **names,
    }
    status = section(definition, "status")
    since = status.get("conditions") or [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        _condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    stored = [version["name"] for version in spec["versions"] if version["storage"]]
    kept = [one for one in status.get("storedVersions", ()) if one not in stored]
    return {
        **definition,
        "spec": {"conversion": {"strategy": "None"}, **spec, "names": accepted},
        "status": {
            "conditions": since,
            "acceptedNames": accepted,
            "storedVersions": [*kept, *stored],
        },
    }


def _condition(kind: str, reason: str, message: str) -> Document:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
    }
