"""The Kubernetes API over HTTP, as far as the controllers need it: objects in, objects out.

Plain aiohttp and no generated client: importing one costs 90 MB and a second and a half of CPU,
which is more than everything else in this process together.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

Object = dict[str, Any]

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5, connect=2)
# A watch is ended by the server sooner than this; silence for longer means that the server hangs.
_WATCH_SECONDS = 50
_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=2, sock_read=60)
_LARGEST_EVENT_BYTES = 4 * 2**20
# Shown as the manager of the fields that the controllers write.
_MANAGER = "sandbox-controllers"
_MERGE_PATCH = "application/merge-patch+json"
_ERRORS_FROM = 400


class ClusterError(Exception):
    """The API did not do what was asked."""


class NotThere(ClusterError):
    """404: there is no such object (or no such resource)."""


class Stale(ClusterError):
    """409: the object changed in between, or exists already."""


class Expired(ClusterError):
    """410: the resource version is too old to watch from; list again."""


class Refused(ClusterError):
    """Another 4xx: the API will not take this object however often it is sent."""


class Unavailable(ClusterError):
    """No answer, or 5xx: worth another try."""


_ERRORS: dict[int, type[ClusterError]] = {404: NotThere, 409: Stale, 410: Expired, 429: Unavailable}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where an object is within its resource."""

    namespace: str
    name: str

    @classmethod
    def of(cls, stored: Object) -> Self:
        return cls(stored["metadata"].get("namespace", ""), stored["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")


class Cluster:
    """One API server; `async with` holds its connections."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._session = aiohttp.ClientSession(
            server,
            timeout=_REQUEST_TIMEOUT,
            read_bufsize=_LARGEST_EVENT_BYTES,
            headers={"User-Agent": _MANAGER},
        )

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """The server of the current context; the stand-in asks for no credentials."""
        config = yaml.safe_load(path.read_text())
        contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
        wanted = contexts[config["current-context"]]["cluster"]
        clusters = {entry["name"]: entry["cluster"] for entry in config["clusters"]}
        return cls(clusters[wanted]["server"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, resource: Resource, key: Key) -> Object:
        return await self._call("GET", resource.path(key.namespace, key.name))

    async def list(self, resource: Resource) -> tuple[list[Object], str]:
        """All objects of all namespaces and the resource version to watch from."""
        answer = await self._call("GET", resource.path())
        return answer["items"], answer["metadata"]["resourceVersion"]

    async def create(self, resource: Resource, body: Object) -> Object:
        where = resource.path(body["metadata"]["namespace"])
        return await self._call("POST", where, {**_head(resource), **body})

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Raises Stale when `body` carries an old resource version."""
        key = Key.of(body)
        where = resource.path(key.namespace, key.name)
        return await self._call("PUT", where, {**_head(resource), **body})

    async def merge(self, resource: Resource, key: Key, patch: Object) -> Object:
        where = resource.path(key.namespace, key.name)
        return await self._call("PATCH", where, patch, _MERGE_PATCH)

    async def merge_status(self, resource: Resource, key: Key, status: Object) -> Object:
        where = resource.path(key.namespace, key.name) + "/status"
        return await self._call("PATCH", where, {"status": status}, _MERGE_PATCH)

    async def delete(self, resource: Resource, key: Key) -> None:
        """Have it gone: deleting what is not there is success."""
        try:
            await self._call("DELETE", resource.path(key.namespace, key.name))
        except NotThere:
            return

    async def watch(self, resource: Resource, since: str) -> AsyncIterator[Object]:
        """The events after `since`, until the server ends the watch. Raises Expired."""
        query = {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        try:
            async with self._session.get(
                resource.path(), params=query, timeout=_WATCH_TIMEOUT
            ) as response:
                if response.status >= _ERRORS_FROM:
                    raise _failure(response.status, await response.text())
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _failure(event["object"].get("code", 500), json.dumps(event))
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"watching {resource.plural}: {error!r}") from error

    async def _call(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if data else {}
        try:
            async with self._session.request(method, path, data=data, headers=headers) as response:
                text = await response.text()
                if response.status >= _ERRORS_FROM:
                    raise _failure(response.status, text)
                answer: Object = json.loads(text)
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{method} {path}: {error!r}") from error


def _head(resource: Resource) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _failure(status: int, text: str) -> ClusterError:
    kind = _ERRORS.get(status) or (Unavailable if status >= 500 else Refused)  # noqa: PLR2004 - HTTP
    try:
        answer = json.loads(text)
        message = answer.get("message") or answer.get("object", {}).get("message") or text
    except (ValueError, AttributeError):
        message = text
    return kind(f"{status}: {message[:500]}")
