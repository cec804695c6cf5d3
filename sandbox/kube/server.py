"""The server put together: state, resources, collector and HTTP, started and stopped as one.

async with serving(state_file=None) as server:
    ...  # clients use server.url
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from aiohttp import web

from sandbox.kube import builtin
from sandbox.kube.collector import Collector, follow_definitions
from sandbox.kube.documents import Document
from sandbox.kube.faults import Faults
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.operations import Operations
from sandbox.kube.resources import Registry, Resource
from sandbox.kube.routes import Api
from sandbox.kube.state_file import StateFile
from sandbox.kube.store import Store
from sandbox.kube.targets import Target, WriteOptions

HOST = "127.0.0.1"
_BODY_LIMIT_BYTES = 3 * 1024 * 1024
_SHUTDOWN_SECONDS = 2.0
_OWN_DEFINITIONS = Path(__file__).with_name("crds")
_OPTIONS = WriteOptions(manager="tidegate-sandbox", force=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeServer:
    url: str

    def write_kubeconfig(self, path: Path) -> None:
        write_kubeconfig(path, self.url)


@contextlib.asynccontextmanager
async def serving(
    *, state_file: Path | None = None, port: int = 0, definitions: Path = _OWN_DEFINITIONS
) -> AsyncIterator[KubeServer]:
    """Serve on a loopback port, a free one for 0, until the block ends.

    Without a state file all is forgotten then. Raises OSError when the port is taken, and
    StateFileUnusable when another server has the state file.
    """
    store = Store(StateFile(state_file) if state_file is not None else None)
    with contextlib.closing(store):
        registry = Registry(builtin.builtin_resources())
        operations = Operations(store)
        follow_definitions(store, registry)
        _furnish(store, registry, operations, definitions)
        api = Api(store, registry, operations, Faults())
        async with _tidying(Collector(store, registry, operations)), _listening(api, port) as url:
            yield KubeServer(url=url)


@contextlib.asynccontextmanager
async def _tidying(collector: Collector) -> AsyncIterator[None]:
    task = asyncio.create_task(collector.run(), name="collector")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def _listening(api: Api, port: int) -> AsyncIterator[str]:
    app = web.Application(client_max_size=_BODY_LIMIT_BYTES)
    app.router.add_route("*", "/{path:.*}", api.handle)
    app.on_shutdown.append(api.release)
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _furnish(store: Store, registry: Registry, operations: Operations, definitions: Path) -> None:
    """Put in place what a new cluster has: the first namespaces and our own definitions."""
    namespaces = _known(registry, "v1", "Namespace")
    for name in builtin.FIRST_NAMESPACES:
        if store.get(namespaces.key, "", name) is None:
            body: Document = {"metadata": {"name": name}}
            operations.create(Target(resource=namespaces), body, _OPTIONS)
    resource = _known(registry, "apiextensions.k8s.io/v1", "CustomResourceDefinition")
    for definition in _documents(definitions):
        target = Target(resource=resource, name=definition["metadata"]["name"])
        operations.apply(target, definition, _OPTIONS)


def _known(registry: Registry, api_version: str, kind: str) -> Resource:
    resource = registry.of_kind(api_version, kind)
    if resource is None:
        raise LookupError(f"{api_version} {kind} is not built in")
    return resource


def _documents(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))
