"""A seeded cluster on free ports with a home of its own, and ways to look at it from outside."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import aiohttp

from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from bench.moments import first_at
from domain.names import route_name
from domain.traffic import Route
from sandbox.caller import PROJECT_ID, Caller, Document, calling
from sandbox.cluster import cluster
from sandbox.controllers.endpoints import SERVICE_LABEL
from sandbox.layout import Layout
from sandbox.load import Load
from sandbox.record import Say
from sandbox.seed import ENVIRONMENT, MODEL, Seeded, seed
from sandbox.supervisor import Supervisor

HEALTHY = f"sim://{MODEL}?latency_ms=40&jitter_ms=10"
"""As fast as the seed's stable, and loaded at once: waiting for it would measure nothing."""

_CANDIDATE = "bench"
_WATCH_SETTLES_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`candidate_id` is a version that behaves as stable does."""

    layout: Layout
    supervisor: Supervisor
    seeded: Seeded
    candidate_id: str
    caller: Caller
    http: aiohttp.ClientSession

    @property
    def namespace(self) -> str:
        return ENVIRONMENT

    @property
    def route(self) -> Route:
        """The AIGatewayRoute of the seeded traffic config."""
        config_id = UUID(self.seeded.config_id)
        return Route(
            project_id=UUID(PROJECT_ID),
            config_id=config_id,
            namespace=self.namespace,
            name=route_name(config_id),
            model=MODEL,
        )

    def load(self, rate: float, model: str = MODEL) -> Load:
        """Requests to the gateway, `rate` a second."""
        return Load(self.layout.gateway_url, model, rate)

    async def kubernetes(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json"
    ) -> Document:
        """Call the Kubernetes API stand-in. Raises aiohttp.ClientError for what it refuses."""
        url = self.layout.kubernetes_url + path
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        async with self.http.request(method, url, data=data, headers=headers) as answer:
            answer.raise_for_status()
            document: Document = await answer.json()
            return document

    async def prometheus(self, query: str) -> list[Document]:
        """The result of an instant query."""
        url = f"{self.layout.prometheus_url}/api/v1/query"
        async with self.http.get(url, params={"query": query}) as answer:
            answer.raise_for_status()
            result: list[Document] = (await answer.json())["data"]["result"]
            return result

    async def misbehave(self, workload: str, **parameters: float) -> None:
        """Change how the running server of a workload behaves, as of its next request."""
        url = f"http://{await self._address(workload)}/sim/behaviour"
        async with self.http.put(url, json=parameters) as answer:
            answer.raise_for_status()

    async def _address(self, workload: str) -> str:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        selector = f"?labelSelector={SERVICE_LABEL}={workload}-predictor"
        for piece in (await self.kubernetes("GET", path + selector))["items"]:
            return f"{piece['endpoints'][0]['addresses'][0]}:{piece['ports'][0]['port']}"
        raise LookupError(f"no pod serves {workload}")


@asynccontextmanager
async def world(say: Say) -> AsyncIterator[World]:
    """Ready and seeded; nothing is left of it afterwards."""
    with home() as directory:
        layout = Layout.for_tests(directory)
        async with (
            cluster(layout, say=say) as supervisor,
            calling(layout) as caller,
            aiohttp.ClientSession(trust_env=False) as http,
        ):
            seeded = await seed(layout)
            version = await caller.post(
                f"/registered_models/{seeded.model_id}/versions",
                {"name": _CANDIDATE, "uri": HEALTHY, "model_format": "vLLM"},
            )
            yield World(
                layout=layout,
                supervisor=supervisor,
                seeded=seeded,
                candidate_id=version["id"],
                caller=caller,
                http=http,
            )


@contextmanager
def home() -> Iterator[Path]:
    """A folder that PostgreSQL can enter even if it runs as another user."""
    directory = Path(tempfile.mkdtemp(prefix="tidegate-bench-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


class RouteWatch:
    """Notes each change of a route's weights when the Kubernetes API tells its watchers.

    `changes` are (time.monotonic(), weight by backend).
    """

    def __init__(self, world: World, name: str) -> None:
        self.changes: list[tuple[float, Mapping[str, int]]] = []
        self._world, self._name = world, name

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"watch {self._name}")
        await asyncio.sleep(_WATCH_SETTLES_SECONDS)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def first_at(self, name: str, weight: int, *, since: float) -> float:
        """When the backend `name` was first seen at this weight. Raises LookupError."""
        return first_at(self.changes, name, weight, since=since)

    async def _follow(self) -> None:
        path = AI_GATEWAY_ROUTE.path(self._world.namespace)
        url = f"{self._world.layout.kubernetes_url}{path}"
        query = {"watch": "true", "fieldSelector": f"metadata.name={self._name}"}
        forever = aiohttp.ClientTimeout(total=None)
        async with self._world.http.get(url, params=query, timeout=forever) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                self._note(json.loads(line)["object"])

    def _note(self, route: Document) -> None:
        backends = route["spec"]["rules"][0]["backendRefs"]
        weights = {each["name"]: each.get("weight", 1) for each in backends}
        self.changes.append((time.monotonic(), weights))
