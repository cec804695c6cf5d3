"""What the server says it serves: API groups, versions and resources, as clients discover them."""

from sandbox.kube.documents import Document
from sandbox.kube.requests import place
from sandbox.kube.resources import VERBS, Registry, Resource, api_version
from sandbox.kube.status import PathUnknown

VERSION: Document = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+tidegate.sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "any",
}


def discovered(path: str, registry: Registry) -> Document:
    """Return the discovery document at a path. Raises PathUnknown where there is none."""
    match path.strip("/"):
        case "version":
            return VERSION
        case "api":
            return {"kind": "APIVersions", "apiVersion": "v1", "versions": registry.versions("")}
        case "apis":
            groups = [_group(name, registry) for name in registry.groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case _:
            return _group_or_version(path, registry)


def _group_or_version(path: str, registry: Registry) -> Document:
    match path.strip("/").split("/"):
        case ["apis", group] if group in registry.groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, registry)}
        case _:
            where = place(path)
    served = registry.of_version(where.group, where.version) if where and not where.rest else []
    if not served:
        raise PathUnknown(path)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": served[0].api_version,
        "resources": [entry for resource in served for entry in _entries(resource)],
    }


def _group(name: str, registry: Registry) -> Document:
    versions = [
        {"groupVersion": api_version(name, version), "version": version}
        for version in registry.versions(name)
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _entries(resource: Resource) -> list[Document]:
    entry: Document = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(VERBS),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if not resource.has_status:
        return [entry]
    status = {
        "name": f"{resource.plural}/status",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": ["get", "patch", "update"],
    }
    return [entry, status]
