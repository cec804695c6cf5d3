"""OpenAPI v3 of what is served: as much as kubectl needs to apply, to explain and to validate."""

from sandbox.kube.documents import Document
from sandbox.kube.requests import JSON_PATCH, MERGE, place
from sandbox.kube.resources import Registry, Resource
from sandbox.kube.status import PathUnknown

ROOT = "/openapi/v3"
_FIELD_VALIDATION = {
    "name": "fieldValidation",
    "in": "query",
    "schema": {"type": "string", "uniqueItems": True},
}


def described(path: str, registry: Registry) -> Document:
    """Return the index at the root, or the document of one API version below it."""
    if path.strip("/") == ROOT.strip("/"):
        versions = {_path(resource) for resource in registry}
        return {"paths": {one: {"serverRelativeURL": f"{ROOT}/{one}"} for one in sorted(versions)}}
    where = place(path.removeprefix(ROOT))
    served = registry.of_version(where.group, where.version) if where and not where.rest else []
    if not served:
        raise PathUnknown(path)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.32.0"},
        "paths": {at: item for resource in served for at, item in _paths(resource).items()},
        "components": {"schemas": {_name(one): _schema(one) for one in served}},
    }


def _path(resource: Resource) -> str:
    root = f"apis/{resource.group}" if resource.group else "api"
    return f"{root}/{resource.version}"


def _paths(resource: Resource) -> Document:
    scope = "namespaces/{namespace}/" if resource.namespaced else ""
    collection = f"/{_path(resource)}/{scope}{resource.plural}"
    answer = {"200": {"description": "OK", "content": {"application/json": _content(resource)}}}
    patched = {"content": {kind: {"schema": {"type": "object"}} for kind in (JSON_PATCH, MERGE)}}
    # No strategic merge patch is announced here: kubectl then merges built-in kinds by what it
    # knows of them, which is more than this document says.
    return {
        collection: {"post": {**_operation(resource, "post"), "responses": answer}},
        f"{collection}/{{name}}": {
            "get": {**_operation(resource, "get"), "responses": answer},
            "patch": {
                **_operation(resource, "patch"),
                "requestBody": patched,
                "responses": answer,
            },
        },
    }


def _operation(resource: Resource, action: str) -> Document:
    return {
        "parameters": [] if action == "get" else [_FIELD_VALIDATION],
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
    }


def _content(resource: Resource) -> Document:
    return {"schema": {"$ref": f"#/components/schemas/{_name(resource)}"}}


def _schema(resource: Resource) -> Document:
    return {**resource.schema, "x-kubernetes-group-version-kind": [_kind(resource)]}


def _kind(resource: Resource) -> Document:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _name(resource: Resource) -> str:
    domain = ".".join(reversed((resource.group or "core").split(".")))
    return f"{domain}.{resource.version}.{resource.kind}"
