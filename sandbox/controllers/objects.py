"""Small questions about Kubernetes objects that both controllers ask: finalizers, conditions."""

from datetime import UTC, datetime
from typing import Any

from sandbox.controllers.cluster import Cluster, Key, NotThere, Object, Resource


def is_deleting(stored: Object) -> bool:
    return bool(stored["metadata"].get("deletionTimestamp"))


def generation(stored: Object) -> int:
    return int(stored["metadata"].get("generation", 0))


def timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def covers(live: Any, wanted: Any) -> bool:
    """Whether `live` says everything that `wanted` says; the API may have added defaults."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(name in live and covers(live[name], value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) == len(live) and all(map(covers, live, wanted))
    return bool(live == wanted)


async def hold(cluster: Cluster, resource: Resource, stored: Object, finalizer: str) -> Object:
    """The object with our finalizer on it, so that it does not go before we have cleaned up."""
    present = stored["metadata"].get("finalizers") or []
    if finalizer in present:
        return stored
    metadata = {**stored["metadata"], "finalizers": [*present, finalizer]}
    return await cluster.replace(resource, {**stored, "metadata": metadata})


async def release(cluster: Cluster, resource: Resource, stored: Object, finalizer: str) -> None:
    present = stored["metadata"].get("finalizers") or []
    if finalizer not in present:
        return
    remaining = [one for one in present if one != finalizer]
    metadata = {**stored["metadata"], "finalizers": remaining}
    try:
        await cluster.replace(resource, {**stored, "metadata": metadata})
    except NotThere:
        return


async def put(cluster: Cluster, resource: Resource, live: Object | None, wanted: Object) -> None:
    """Have the parts of an object that `wanted` states; `live` is what is known of it."""
    if live is None:
        await cluster.create(resource, wanted)
        return
    if covers(live, wanted):
        return
    metadata = {**live["metadata"], **wanted["metadata"]}
    await cluster.replace(resource, {**live, **wanted, "metadata": metadata})


def condition(stored: Object, kind: str) -> Object | None:
    conditions = stored.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), None)


def key_in(namespace: str, reference: Object) -> Key:
    return Key(reference.get("namespace") or namespace, reference["name"])
