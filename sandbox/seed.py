"""What a sandbox holds from the start: a model with versions, deployed, its traffic in our hands.

Everything is looked up by name first, so that a second start adds nothing. All of it goes through
the public API, except for what a cluster's administrator would have put there: two namespaces and
a Gateway.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import httpx

from bootstrap.settings import Settings
from sandbox import administrator
from sandbox.caller import Caller, CallFailed, Document, calling
from sandbox.layout import Layout

MODEL = "chat"
ENVIRONMENT = "serving"
STABLE = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the model: how the simulated server behaves, and what that is in words."""

    uri: str
    description: str


# An answer takes 30 to 50 ms: slow enough to look like a small model, fast enough that one process
# serves hundreds a second. Loading takes a second, so that a deployment is something to wait for.
_HEALTHY = "latency_ms=40&jitter_ms=10&load_seconds=1"
VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        "v1": Version(uri=f"sim://{MODEL}?{_HEALTHY}", description="healthy: 30 to 50 ms"),
        "v2": Version(uri=f"sim://{MODEL}?{_HEALTHY}", description="healthy, as fast as v1"),
        "v3-errors": Version(
            uri=f"sim://{MODEL}?{_HEALTHY}&error_rate=0.3",
            description="answers 30 % of its requests with a 500",
        ),
        "v4-slow": Version(
            uri=f"sim://{MODEL}?latency_ms=400&jitter_ms=50&load_seconds=1",
            description="takes 350 to 450 ms for an answer",
        ),
    }
)

_DEPLOYED_WITHIN = timedelta(seconds=60)
_SERVED_WITHIN = timedelta(seconds=30)
_POLL_SECONDS = 0.1
_OK = 200


class SeedFailed(Exception):
    """The sandbox could not be filled; the message says what stood in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """The ids that the seed's things have in this home; `versions` by name."""

    model_id: str
    versions: Mapping[str, str]
    service_id: str
    config_id: str
    stable: str
    """The name of the version that carries the traffic: a promotion may have changed it."""


async def seed(layout: Layout) -> Seeded:
    """Fills an empty sandbox and finds its way in a full one; the gateway serves when it returns.

    Raises SeedFailed.
    """
    try:
        await _prepare_cluster(layout)
        async with calling(layout) as caller:
            seeded = await _register(caller)
        await _until_served(layout)
    except (CallFailed, httpx.HTTPError) as error:
        raise SeedFailed(f"the sandbox could not be seeded: {error}") from error
    return seeded


async def _register(caller: Caller) -> Seeded:
    model = await _have(caller, "/registered_models", name=MODEL)
    listed = f"/registered_models/{model['id']}/versions"
    versions = {
        name: await _have(
            caller,
            listed,
            name=name,
            uri=version.uri,
            model_format="vLLM",
            description=version.description,
        )
        for name, version in VERSIONS.items()
    }
    environment = await _have(caller, "/serving_environments", name=ENVIRONMENT)
    service = await _service(caller, environment["id"], model["id"], versions[STABLE]["id"])
    config = await _config(caller, service["id"])
    return Seeded(
        model_id=model["id"],
        versions=MappingProxyType({name: one["id"] for name, one in versions.items()}),
        service_id=service["id"],
        config_id=config["id"],
        stable=_stable(config),
    )


async def _have(caller: Caller, path: str, **body: Any) -> Document:
    """The item of this name, made if there is none."""
    return await caller.find(path, body["name"]) or await caller.post(path, body)


async def _service(caller: Caller, environment_id: str, model_id: str, version_id: str) -> Document:
    """The inference service, deployed."""
    path = "/inference_services"
    service = await caller.find(path, MODEL, serving_environment_id=environment_id)
    if service is None or service["current_state"] == "failed":
        body = {
            "name": MODEL,
            "serving_environment_id": environment_id,
            "registered_model_id": model_id,
            "model_version_ids": [version_id],
        }
        service = await caller.post(path, body)
    async for _ in _tries(_DEPLOYED_WITHIN):
        if service["current_state"] != "deploying":
            break
        service = await caller.get(f"{path}/{service['id']}")
    if service["current_state"] != "deployed":
        why = service["state_reason"] or f"not within {_DEPLOYED_WITHIN.seconds} s"
        raise SeedFailed(f"{MODEL} {STABLE} was not deployed: {why}")
    return service


async def _config(caller: Caller, service_id: str) -> Document:
    """The traffic config of the service, active."""
    listed = await caller.get("/traffic_configs", inference_service_id=service_id)
    config: Document = next(iter(listed["items"]), {"status": "missing"})
    async for _ in _tries(_DEPLOYED_WITHIN):
        if config["status"] == "active":
            return config
        # A repeat takes up what was begun; the answer waits for the gateway for a while.
        config = await caller.post("/traffic_configs", {"inference_service_id": service_id})
    raise SeedFailed(f"the traffic config is {config['status']}: {config['status_reason']}")


def _stable(config: Document) -> str:
    names = [one["model_version_name"] for one in config["variants"] if one["role"] == "stable"]
    return str(names[0])


async def _prepare_cluster(layout: Layout) -> None:
    """What an administrator sets up once: namespaces, and the Gateway that routes attach to."""
    defaults = Settings.model_fields
    namespace = defaults["gateway_namespace"].default
    objects = [administrator.namespace(ENVIRONMENT), administrator.namespace(namespace)]
    objects.append(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": defaults["gateway_name"].default, "namespace": namespace},
            "spec": {
                "gatewayClassName": "envoy-ai-gateway",
                "listeners": [
                    {
                        "name": "http",
                        "protocol": "HTTP",
                        "port": layout.gateway_port,
                        "allowedRoutes": {"namespaces": {"from": "All"}},
                    }
                ],
            },
        }
    )
    await administrator.apply(layout, objects)


async def _until_served(layout: Layout) -> None:
    """Returns once the gateway has answered a chat request with a 200."""
    said = "no answer"
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Is the tide in?"}]}
    async with httpx.AsyncClient(base_url=layout.gateway_url, trust_env=False) as http:
        async for _ in _tries(_SERVED_WITHIN):
            try:
                answer = await http.post("/v1/chat/completions", json=body)
            except httpx.TransportError as error:
                said = str(error) or type(error).__name__
                continue
            if answer.status_code == _OK:
                return
            said = f"{answer.status_code} {answer.text[:200]}"
    raise SeedFailed(f"the gateway does not serve {MODEL}: {said}")


async def _tries(within: timedelta) -> AsyncIterator[None]:
    """One item a try, until the time is up; the last one comes after that."""
    deadline = time.monotonic() + within.total_seconds()
    yield
    while time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        yield
