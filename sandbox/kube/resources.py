"""What the server serves: resources by group, version and plural, and the registry that knows them.

Where resources come from is told in `builtin` and `definitions`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.kube.documents import Document, Schema

ResourceKey = str
"""`<plural>.<group>`, the same for every version of a resource: objects are stored under it."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_VERSION = re.compile(r"^v(\d+)(?:(alpha|beta)(\d+))?$")
_STABILITY = {"alpha": 1, "beta": 2, None: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One served version of a resource. `storage_version` is the one its objects are kept in."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    namespaced: bool
    storage_version: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_generation: bool = False
    is_custom: bool = False
    needs_revision_on_update: bool = False
    answers_delete_with_object: bool = False
    name_rule: str = "subdomain"
    selectable_fields: tuple[str, ...] = ()
    columns: tuple[Document, ...] = ()
    schema: Schema = field(default_factory=dict, hash=False)

    @property
    def key(self) -> ResourceKey:
        return resource_key(self.group, self.plural)

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)


def resource_key(group: str, plural: str) -> ResourceKey:
    return f"{plural}.{group}"


def api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


class Registry:
    """The resources served at present; custom ones come and go with their definitions."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._served: dict[tuple[str, str, str], Resource] = {}
        for resource in resources:
            self.add(resource)

    def add(self, resource: Resource) -> None:
        self._served[resource.group, resource.version, resource.plural] = resource

    def withdraw(self, key: ResourceKey) -> None:
        self._served = {at: one for at, one in self._served.items() if one.key != key}

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._served.get((group, version, plural))

    def stored_as(self, key: ResourceKey) -> Resource | None:
        """Return a served version of a resource, its storage version where that is served."""
        versions = [resource for resource in self if resource.key == key]
        stored = [one for one in versions if one.version == one.storage_version]
        return next(iter(stored or versions), None)

    def of_kind(self, wanted_api_version: str, kind: str) -> Resource | None:
        matches = (one for one in self if one.kind == kind)
        return next((one for one in matches if one.api_version == wanted_api_version), None)

    def groups(self) -> list[str]:
        """Return the named groups in order; the core group, which has no name, is not one."""
        return sorted({resource.group for resource in self if resource.group})

    def versions(self, group: str) -> list[str]:
        """Return a group's versions, the preferred one first."""
        served = {resource.version for resource in self if resource.group == group}
        return sorted(served, key=_version_rank, reverse=True)

    def of_version(self, group: str, version: str) -> list[Resource]:
        served = (one for one in self if (one.group, one.version) == (group, version))
        return sorted(served, key=lambda one: one.plural)

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._served.values()))


def _version_rank(version: str) -> tuple[int, int, int, str]:
    match = _VERSION.match(version)
    if match is None:
        return (0, 0, 0, version)
    major, stability, minor = match.groups()
    return (_STABILITY[stability], int(major), int(minor or 0), version)
