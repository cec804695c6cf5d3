"""A cluster to act on: the stand-in, Envoy and the two controllers, and how a user would use them."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.controllers.cluster import Cluster, Key, NotThere, Object, Resource
from sandbox.controllers.objects import condition
from sandbox.controllers.resources import (
    AI_BACKENDS,
    AI_ROUTES,
    BACKENDS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    TRAFFIC_POLICIES,
)
from sandbox.process import Process, ProcessSpec, running

PATIENCE_SECONDS = 20


async def eventually(check: Callable[[], Awaitable[Any] | Any], what: str = "") -> Any:
    """The first truthy answer of `check`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = check()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not in {PATIENCE_SECONDS} s: {what or check}"
        await asyncio.sleep(0.01)


def weights_of(route: Object) -> list[tuple[str, int]]:
    refs = route["spec"]["rules"][0]["backendRefs"]
    return [(ref["name"], ref["weight"]) for ref in refs]


def is_taken(http_route: Object) -> bool:
    """Whether the gateway has put the HTTPRoute in force as it stands."""
    parents = (http_route.get("status") or {}).get("parents") or []
    outcomes = [one for parent in parents for one in parent["conditions"]]
    generation = http_route["metadata"]["generation"]
    return bool(outcomes) and all(
        one["status"] == "True" and one["observedGeneration"] == generation for one in outcomes
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Homes:
    """Where the controllers of one test keep their things."""

    kubeconfig: Path
    state: Path
    targets: Path
    logs: Path


class World:
    def __init__(self, cluster: Cluster, envoy: Any, kube_url: str, homes: Homes) -> None:
        self.cluster = cluster
        self.envoy = envoy
        self.kube_url = kube_url
        self.homes = homes
        self.http = aiohttp.ClientSession()
        self.namespace = ""

    def within(self, namespace: str) -> "World":
        other = copy(self)
        other.namespace = namespace
        return other

    async def close(self) -> None:
        await self.http.close()

    @asynccontextmanager
    async def running(self, *flags: str) -> AsyncIterator[Process]:
        async with running(
            self.controllers(*flags), log=self.homes.logs / "controllers.log"
        ) as one:
            yield one

    async def add_namespace(self) -> None:
        url = f"{self.kube_url}/api/v1/namespaces"
        async with self.http.post(url, json={"metadata": {"name": self.namespace}}) as response:
            assert response.status == 201

    async def break_api(self, mode: str, seconds: float) -> None:
        fault = {"mode": mode, "seconds": seconds}
        async with self.http.put(f"{self.kube_url}/sandbox/faults", json=fault) as response:
            assert response.status == 200, await response.text()

    def key(self, name: str) -> Key:
        return Key(self.namespace, name)

    async def deploy(self, name: str, uri: str, *, served_as: str = "", **annotations: str) -> None:
        model: Object = {"modelFormat": {"name": "vLLM"}, "storageUri": uri}
        if served_as:
            model["args"] = [f"--model_name={served_as}"]
        await self.cluster.create(
            INFERENCE_SERVICES,
            {
                "metadata": {
                    "namespace": self.namespace,
                    "name": name,
                    "annotations": {
                        f"serving.kserve.io/{key}": text for key, text in annotations.items()
                    },
                },
                "spec": {"predictor": {"model": model}},
            },
        )

    async def service(self, name: str) -> Object:
        return await self.cluster.get(INFERENCE_SERVICES, self.key(name))

    async def is_ready(self, name: str) -> bool:
        return await self.is_true(name, "Ready")

    async def is_true(self, name: str, kind: str) -> bool:
        found = condition(await self.service(name), kind)
        return found is not None and found["status"] == "True"

    async def ready(self, *names: str) -> None:
        for name in names:
            await eventually(partial(self.is_ready, name), f"{name} ready")

    async def connect(self, *names: str, backend: bool = True) -> None:
        """A Backend and an AIServiceBackend for each."""
        for name in names:
            if backend:
                await self.add_backend(name)
            reference = {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": name}
            spec = {"schema": {"name": "OpenAI"}, "backendRef": reference}
            await self.create(AI_BACKENDS, name, spec)

    async def add_backend(self, name: str) -> None:
        hostname = f"{name}-predictor.{self.namespace}.svc.cluster.local"
        await self.create(
            BACKENDS, name, {"endpoints": [{"fqdn": {"hostname": hostname, "port": 80}}]}
        )

    async def create(self, resource: Resource, name: str, spec: Object) -> Object:
        metadata = {"namespace": self.namespace, "name": name}
        return await self.cluster.create(resource, {"metadata": metadata, "spec": spec})

    async def split(self, route: str) -> None:
        """Have a cluster for each backend of the route."""
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}
        balancer = {
            "type": "LeastRequest",
            "zoneAware": {"weightedZones": [{"zone": "none", "weight": 1}]},
        }
        spec = {"targetRefs": [target], "loadBalancer": balancer}
        await self.create(TRAFFIC_POLICIES, f"split-{route}", spec)

    async def fall_back(self, route: str, *, levels: int) -> None:
        """Have the gateway try each of so many priorities once before an answer is final."""
        target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}
        retry = {
            "numRetries": levels - 1,
            "numAttemptsPerPriority": 1,
            "retryOn": {
                "httpStatusCodes": [429, 500, 502, 503, 504],
                "triggers": ["connect-failure", "reset", "retriable-status-codes"],
            },
        }
        await self.create(
            TRAFFIC_POLICIES, f"retry-{route}", {"targetRefs": [target], "retry": retry}
        )

    async def add_provider(self, name: str, port: int) -> None:
        """A backend outside the cluster, at an address of this machine."""
        endpoint = {"ip": {"address": "127.0.0.1", "port": port}}
        await self.create(BACKENDS, name, {"endpoints": [endpoint]})
        await self.connect(name, backend=False)

    async def add_virtual(self, route: str, model: str, *refs: Object) -> None:
        """A route of which each reference is given in full."""
        parents = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "tidegate"}]
        matches = [{"headers": [{"name": "x-ai-eg-model", "value": model}]}]
        rule = {"name": "main", "matches": matches, "backendRefs": list(refs)}
        await self.create(AI_ROUTES, route, {"parentRefs": parents, "rules": [rule]})

    def rules(self, model: str, weights: dict[str, int]) -> list[Object]:
        return [
            {
                "name": "main",
                "matches": [{"headers": [{"name": "x-ai-eg-model", "value": model}]}],
                "backendRefs": [
                    {"name": name, "weight": weight, "modelNameOverride": name}
                    for name, weight in weights.items()
                ],
            }
        ]

    async def add_route(self, route: str, model: str, weights: dict[str, int]) -> None:
        parents = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "tidegate"}]
        spec = {"parentRefs": parents, "rules": self.rules(model, weights)}
        await self.create(AI_ROUTES, route, spec)

    async def weigh(self, route: str, model: str, weights: dict[str, int]) -> None:
        patch = {"spec": {"rules": self.rules(model, weights)}}
        await self.cluster.merge(AI_ROUTES, self.key(route), patch)

    async def http_route(self, route: str) -> Object | None:
        try:
            return await self.cluster.get(HTTP_ROUTES, self.key(route))
        except NotThere:
            return None

    async def is_in_force(self, route: str) -> bool:
        """What an engine checks: the HTTPRoute has the weights and was taken over as it stands."""
        stored = await self.http_route(route)
        if stored is None:
            return False
        wanted = await self.cluster.get(AI_ROUTES, self.key(route))
        return is_taken(stored) and weights_of(stored) == weights_of(wanted)

    async def in_force(self, route: str) -> None:
        await eventually(lambda: self.is_in_force(route), f"{route} in force")

    async def condition_types(self, resource: Resource, name: str) -> list[str]:
        stored = await self.cluster.get(resource, self.key(name))
        return [one["type"] for one in (stored.get("status") or {}).get("conditions") or []]

    async def ask(self, model: str, **headers: str) -> tuple[int, str]:
        """The status of one chat request through the gateway, and who answered."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        async with self.http.post(
            f"{self.envoy.url}/v1/chat/completions", json=body, headers=headers
        ) as response:
            await response.read()
            return response.status, response.headers.get("x-served-by", "")

    async def answer(self, model: str, **headers: str) -> tuple[int, str, str]:
        """The status of one chat request, who answered, and as which model."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        async with self.http.post(
            f"{self.envoy.url}/v1/chat/completions", json=body, headers=headers
        ) as response:
            document = await response.json() if response.status == 200 else {}
            served_by = response.headers.get("x-served-by", "")
            return response.status, served_by, document.get("model", "")

    async def served_by(self, model: str, name: str) -> None:
        """Waits until `name` answers."""

        async def check() -> bool:
            return await self.ask(model) == (200, name)

        await eventually(check, f"{model} served by {name}")

    async def envoy_stats(self, pattern: str) -> dict[str, str]:
        async with self.http.get(f"{self.envoy.admin_url}/stats?filter={pattern}") as response:
            lines = (await response.text()).splitlines()
        return dict(line.split(": ", 1) for line in lines)

    async def put_behaviour(self, name: str, **parameters: float) -> None:
        url = f"http://127.0.0.1:{await self.port(name)}/sim/behaviour"
        async with self.http.put(url, json=parameters) as response:
            assert response.status == 200, await response.text()

    async def port(self, name: str) -> int:
        text = (self.homes.targets / f"{self.namespace}.{name}.json").read_text()
        return int(json.loads(text)[0]["targets"][0].split(":")[1])

    def controllers(self, *flags: str) -> ProcessSpec:
        """The controllers as a process of their own, ready when they have been spawned."""

        async def at_once() -> bool:
            return True

        arguments = (
            *("--kubeconfig", str(self.homes.kubeconfig)),
            *("--state-dir", str(self.homes.state)),
            *("--envoy-xds-dir", str(self.envoy.xds_dir)),
            *("--envoy-admin", self.envoy.admin_url),
            *("--prometheus-targets-dir", str(self.homes.targets)),
            *flags,
        )
        return ProcessSpec(
            name="controllers",
            argv=(sys.executable, "-m", "sandbox.controllers", *arguments),
            ready=at_once,
        )
