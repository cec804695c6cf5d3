"""The gateway with a real backend behind it: who is chosen, and what passes untouched."""

import asyncio
import json

import httpx
import pytest
from aiohttp import web

from sandbox.servers import envoy

CHAT = "/v1/chat/completions"
DEADLINE_SECONDS = 5


@pytest.fixture(scope="module")
async def gateway(envoy_server):
    """Routes the models "one" and "two" to a backend each that tells its name and the header."""
    runners, clusters, routes = [], [], []
    for name in ("one", "two"):
        runner, port = await serve(name)
        runners.append(runner)
        clusters.append(cluster(name, port))
        routes.append(route(name))
    envoy.write_resources(envoy_server.xds_dir, "cds", clusters, "1")
    await until(lambda: cluster_is_known(envoy_server, "two"))
    envoy.write_resources(envoy_server.xds_dir, "rds", [table([PLAIN_ROUTE, *routes])], "1")
    async with httpx.AsyncClient(base_url=envoy_server.url) as client:

        async def routed():
            answer = await client.post(CHAT, json={"model": "two"})
            return answer.status_code == 200

        await until(routed)
        yield client
    for runner in runners:
        await runner.cleanup()


async def test_the_model_in_the_body_chooses_the_route(gateway):
    for model in ("one", "two"):
        answer = await gateway.post(CHAT, json={"messages": [{"model": "x"}], "model": model})
        assert answer.json() == {"backend": model, "header": model}


async def test_a_model_header_from_the_client_is_overwritten(gateway):
    answer = await gateway.post(CHAT, json={"model": "one"}, headers={"x-ai-eg-model": "two"})
    assert answer.json() == {"backend": "one", "header": "one"}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain"])
async def test_the_content_type_does_not_matter(gateway, content_type):
    answer = await gateway.post(
        CHAT, content=json.dumps({"model": "two"}), headers={"content-type": content_type}
    )
    assert answer.json()["backend"] == "two"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"model": ', "the request body is not JSON"),
        (b'{"messages": []}', "the request body names no model"),
        (b'{"model": 7}', "model must be a non-empty string"),
        (b'{"model": ""}', "model must be a non-empty string"),
        (b"", "the request body names no model"),
    ],
)
async def test_a_body_without_a_model_is_refused_with_the_reason(gateway, body, problem):
    answer = await gateway.post(CHAT, content=body, headers={"x-ai-eg-model": "one"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == problem


async def test_an_unknown_model_is_not_found(gateway):
    assert (await gateway.post(CHAT, json={"model": "three"})).status_code == 404


async def test_a_path_without_models_finds_no_model_route(gateway):
    """Not even with the header: on such a path it could only be a client's own."""
    answer = await gateway.post("/v2/infer", json={"model": "one"}, headers=HEADER_OF_ONE)
    assert answer.status_code == 404


async def test_a_path_without_models_finds_plain_routes(gateway):
    answer = await gateway.get("/plain?x=1", headers=HEADER_OF_ONE)
    assert (answer.status_code, answer.text) == (200, "plain")


async def test_a_prompt_of_many_megabytes_passes(gateway):
    prompt = "a" * (8 * 1024 * 1024)
    answer = await gateway.post(CHAT, json={"prompt": prompt, "model": "one"})
    assert answer.json()["backend"] == "one"


async def test_a_streamed_answer_passes_piece_by_piece(gateway):
    """The backend sends its second event only after the first one was seen at the client."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        async with gateway.stream("POST", CHAT, json={"model": "one", "stream": True}) as answer:
            events = []
            async for line in answer.aiter_lines():
                if line:
                    events.append(line)
                    FIRST_EVENT_SEEN.set()
    assert events == ["data: first", "data: [DONE]"]


async def test_a_gateway_without_routes_answers_not_found(servers_dir):
    async with envoy.running(servers_dir / "bare-envoy") as server:
        assert await status(server) == 404


async def test_routes_written_before_a_restart_are_in_force_after_it(servers_dir):
    directory = servers_dir / "restarted-envoy"
    async with envoy.running(directory) as server:
        answer = {"status": 299, "body": {"inline_string": "kept"}}
        direct = {"match": {"prefix": "/"}, "direct_response": answer}
        envoy.write_resources(server.xds_dir, "rds", [table([direct])])
    async with envoy.running(directory) as server:
        assert await status(server) == 299


HEADER_OF_ONE = {"x-ai-eg-model": "one"}
PLAIN_ROUTE = {
    "match": {"path": "/plain"},
    "direct_response": {"status": 200, "body": {"inline_string": "plain"}},
}
FIRST_EVENT_SEEN = asyncio.Event()


async def serve(name):
    async def chat(request):
        body = await request.json()
        if body.get("stream"):
            return await stream(request)
        return web.json_response({"backend": name, "header": request.headers.get("x-ai-eg-model")})

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post(CHAT, chat)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1]


async def stream(request):
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: first\n\n")
    await FIRST_EVENT_SEEN.wait()
    await response.write(b"data: [DONE]\n\n")
    return response


def cluster(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def route(model):
    header = {"name": "x-ai-eg-model", "string_match": {"exact": model}}
    return {"match": {"prefix": "/", "headers": [header]}, "route": {"cluster": model}}


def table(routes):
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "gateway",
        "validate_clusters": True,
        "virtual_hosts": [{"name": "gateway", "domains": ["*"], "routes": routes}],
    }


async def status(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        return (await client.post(CHAT, json={"model": "one"})).status_code


async def cluster_is_known(server, name):
    async with httpx.AsyncClient() as client:
        stats = await client.get(
            f"{server.admin_url}/stats?filter=cluster.{name}.membership_healthy"
        )
        return f"cluster.{name}.membership_healthy: 1" in stats.text


async def until(condition):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - Envoy sends no word
            await asyncio.sleep(0.01)
