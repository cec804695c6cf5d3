"""The calls that the engine makes to a Kubernetes API server, each with a deadline.

Nothing here knows what the objects mean.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import (
    ConfigException,
    load_incluster_config,
    load_kube_config,
)

from adapters.kubernetes.answers import Answer, error_of, field_conflicts
from adapters.kubernetes.documents import MANAGER, Manifest, mappings, text
from adapters.kubernetes.resources import Resource
from domain.errors import InvalidSpec, Unreachable, Violation

CALL_TIMEOUT = timedelta(seconds=10)
# The library trips over a file of another shape in all of these ways.
_UNUSABLE = (
    ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError,
)  # fmt: skip
_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"


class Cluster:
    """Objects of one cluster. Raises domain errors; every call ends within `timeout`."""

    def __init__(self, api: ApiClient, *, timeout: timedelta = CALL_TIMEOUT) -> None:
        self._api = api
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        """The object, None where there is none. A kind that nobody serves raises Unreachable."""
        answer = await self._call("GET", resource.path(namespace, name))
        if answer.is_missing_object:
            return None
        return _document(answer, f"get {resource.kind} {namespace}/{name}")

    async def list(
        self, resource: Resource, namespace: str, labels: Mapping[str, str]
    ) -> Sequence[Mapping[str, Any]]:
        """The objects that carry all of these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        query = [("labelSelector", selector)]
        answer = await self._call("GET", resource.path(namespace), query=query)
        return mappings(_document(answer, f"list {resource.plural} in {namespace}"), "items")

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create the object, or raise AlreadyExists: of two creators exactly one wins."""
        namespace = text(manifest, "metadata", "namespace")
        query = [("fieldManager", MANAGER)]
        answer = await self._call("POST", resource.path(namespace), query=query, body=manifest)
        return _document(answer, f"create {_named(resource, manifest)}")

    async def apply(
        self, resource: Resource, manifest: Manifest, *, force: bool = False
    ) -> Manifest:
        """Apply on the server's side, as the field manager `tidegate`.

        With `metadata.resourceVersion` it is a compare-and-swap: Contended when somebody wrote in
        between. Raises Conflict that names the fields another manager holds, unless forced.
        """
        answer = await self._apply(resource, manifest, force=force)
        # What we created counts as updated, not applied, and so as held by another manager of our
        # own name; only such conflicts are settled here.
        held = field_conflicts(answer)
        if held and all(one.manager == MANAGER for one in held):
            answer = await self._apply(resource, manifest, force=True)
        return _document(answer, f"apply {_named(resource, manifest)}")

    async def delete(self, resource: Resource, found: Mapping[str, Any]) -> None:
        """Delete this very object as it was read. Raises Contended when it has changed since."""
        preconditions = {
            "uid": text(found, "metadata", "uid"),
            "resourceVersion": text(found, "metadata", "resourceVersion"),
        }
        path = resource.path(text(found, "metadata", "namespace"), text(found, "metadata", "name"))
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        answer = await self._call("DELETE", path, body=options)
        if not answer.is_success and not answer.is_missing_object:
            raise error_of(answer, f"delete {_named(resource, found)}")

    async def _apply(self, resource: Resource, manifest: Manifest, *, force: bool) -> Answer:
        metadata = manifest["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"])
        query = [("fieldManager", MANAGER), ("force", "true" if force else "false")]
        return await self._call("PATCH", path, query=query, body=manifest, content_type=_APPLY)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
    ) -> Answer:
        # The typed methods of the client would drop the body of a 201, which is what an apply
        # that creates answers, and would choose a content type of their own: hence the raw call.
        try:
            response: aiohttp.ClientResponse = await self._api.call_api(
                path,
                method,
                query_params=list(query),
                header_params={"Content-Type": content_type, "Accept": _JSON},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=self._timeout,
            )
            async with response:
                content = await response.read()
        except TimeoutError as error:
            seconds = self._timeout.total
            raise Unreachable(f"the Kubernetes API did not answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ConfigException) as error:
            raise Unreachable(f"the Kubernetes API cannot be reached: {error}") from error
        return Answer(code=response.status, headers=response.headers, body=content)


@asynccontextmanager
async def connect(
    kubeconfig: Path | None, *, timeout: timedelta = CALL_TIMEOUT
) -> AsyncGenerator[Cluster]:
    """Connect as the kubeconfig says, without one as the pod's service account.

    Raises InvalidSpec when the configuration is unusable; the server itself is not asked yet.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # half-typed library
        else:
            await load_kube_config(
                config_file=str(kubeconfig),
                client_configuration=configuration,
                persist_config=False,
            )
    except _UNUSABLE as error:
        raise InvalidSpec(Violation("kubeconfig", f"cannot be used: {error}")) from error
    async with ApiClient(configuration) as api:
        yield Cluster(api, timeout=timeout)


def _document(answer: Answer, what: str) -> Manifest:
    if not answer.is_success:
        raise error_of(answer, what)
    return answer.document()


def _named(resource: Resource, manifest: Mapping[str, Any]) -> str:
    metadata = text(manifest, "metadata", "namespace"), text(manifest, "metadata", "name")
    return f"{resource.kind} {'/'.join(metadata)}"
