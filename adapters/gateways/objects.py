"""Taking away objects that are ours, seen to the end."""

from collections.abc import Mapping
from typing import Any

from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import is_leaving, is_ours, text
from adapters.kubernetes.resources import Resource
from domain.errors import NotYet


async def forget(
    cluster: Cluster, resource: Resource, namespace: str, name: str, identity: Mapping[str, str]
) -> None:
    """Take the object of this name away, if it is ours."""
    found = await cluster.get(resource, namespace, name)
    if found is not None and is_ours(found, identity):
        await take_away(cluster, resource, found)


async def take_away(cluster: Cluster, resource: Resource, found: Mapping[str, Any]) -> None:
    """Delete this very object. Raises NotYet while a finalizer keeps it."""
    namespace, name = text(found, "metadata", "namespace"), text(found, "metadata", "name")
    if not is_leaving(found):
        await cluster.delete(resource, found)
    left = await cluster.get(resource, namespace, name)
    if left is not None and text(left, "metadata", "uid") == text(found, "metadata", "uid"):
        raise NotYet(f"{resource.kind} {name} is still being deleted")
