"""Two slots of a route behind a real Envoy, with an upstream that behaves as each request says."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager

import httpx
from aiohttp import web

from adapters.prometheus.envoy import cluster_name
from sandbox.ports import free_port
from sandbox.servers import envoy
from sandbox.servers.envoy_listener import ROUTE_CONFIG
from tests.metrics.servers import serving, until

_versions = itertools.count(1000)


class Upstream:
    """Answers 200; the header `x-behave` asks for error, client-error, slow or flaky (every other one fails)."""

    def __init__(self):
        self._flaky = itertools.cycle((500, 200))

    async def answer(self, request):
        await request.read()
        behaviour = request.headers.get("x-behave", "")
        if behaviour == "slow":
            await asyncio.sleep(2)
        codes = {"error": 500, "client-error": 422}
        code = next(self._flaky) if behaviour == "flaky" else codes.get(behaviour, 200)
        return web.Response(status=code)


class Traffic:
    """Sends requests to one slot, and waits for the last of them to be answered."""

    def __init__(self, client):
        self._client = client

    async def send(self, slot, number=1, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for _ in range(number):
            body = json.dumps({"model": f"slot-{slot}"})
            await self._client.post("/v1/chat/completions", content=body, headers=named)


@asynccontextmanager
async def routed(server, route, *, dead=None):
    """Have the gateway serve slot 0 and 1 of the route, as the models `slot-0` and `slot-1`.

    Nobody listens where the slot `dead` points to.
    """
    version = str(next(_versions))
    async with serving(Upstream().answer) as address:
        nowhere = f"127.0.0.1:{free_port()}"
        clusters = [
            _cluster(cluster_name(route, slot), nowhere if slot == dead else address)
            for slot in (0, 1)
        ]
        envoy.write_resources(server.xds_dir, "cds", clusters, version)
        async with httpx.AsyncClient(base_url=server.admin_url) as admin:
            await until(lambda: _knows(admin, cluster_name(route, 1)), "the clusters")
        table = _table([_route(route, slot) for slot in (0, 1)])
        envoy.write_resources(server.xds_dir, "rds", [table], version)
        async with httpx.AsyncClient(base_url=server.admin_url) as admin:
            await until(lambda: _routes_to(admin, cluster_name(route, 1)), "the routes")
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
            yield Traffic(client)


async def _knows(admin, name):
    return f"{name}::127.0.0.1" in (await admin.get("/clusters")).text


async def _routes_to(admin, name):
    answer = await admin.get("/config_dump", params={"resource": "dynamic_route_configs"})
    return name in answer.text


def _cluster(name, address):
    host, port = address.split(":")
    at = {"address": {"socket_address": {"address": host, "port_value": int(port)}}}
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "connect_timeout": "1s",
        "type": "STATIC",
        "track_cluster_stats": {"per_endpoint_stats": True},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": at}]}],
        },
    }


def _route(route, slot):
    header = {"name": "x-ai-eg-model", "string_match": {"exact": f"slot-{slot}"}}
    retries = {"retry_on": "5xx", "num_retries": 1}
    target = {"cluster": cluster_name(route, slot), "timeout": "0.3s"}
    patient = {"name": "x-retry", "present_match": True}
    return [
        {
            "match": {"prefix": "/", "headers": [header, patient]},
            "route": {**target, "retry_policy": retries},
        },
        {"match": {"prefix": "/", "headers": [header]}, "route": target},
    ]


def _table(routes):
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTE_CONFIG,
        "virtual_hosts": [
            {
                "name": "gateway",
                "domains": ["*"],
                "routes": list(itertools.chain.from_iterable(routes)),
            }
        ],
    }
