"""The seed and the calls that `make up` prints, on a whole cluster of real parts."""

import asyncio
import json
import re
import shutil
import subprocess

import httpx
import pytest

from sandbox.caller import calling
from sandbox.cluster import cluster
from sandbox.greeting import first_steps
from sandbox.load import Load
from sandbox.seed import MODEL, VERSIONS, SeedFailed, seed

LISTS = (
    "/registered_models",
    "/model_versions",
    "/serving_environments",
    "/inference_services",
    "/traffic_configs",
    "/rollouts",
)


async def test_a_second_start_finds_what_the_first_has_seeded_and_adds_nothing(layout):
    async with cluster(layout):
        first = await seed(layout)
        before = await held(layout)
    async with cluster(layout):
        second = await seed(layout)

        assert second == first
        assert await held(layout) == before
        await the_seed_is_whole(layout, first)
        await the_printed_calls_do_what_they_say(layout, first)


async def test_a_sandbox_without_its_parts_cannot_be_seeded(layout):
    with pytest.raises(SeedFailed, match="could not be seeded: All connection attempts failed"):
        await seed(layout)


async def the_seed_is_whole(layout, seeded):
    async with httpx.AsyncClient() as http:
        kubernetes = f"{layout.kubernetes_url}/apis/gateway.networking.k8s.io/v1"
        found = await http.get(f"{kubernetes}/namespaces/tidegate/gateways/tidegate-gateway")
        assert found.json()["spec"]["listeners"][0]["port"] == layout.gateway_port
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        answer = await http.post(f"{layout.gateway_url}/v1/chat/completions", json=body)
        assert answer.status_code == 200
    async with calling(layout) as caller:
        config = await caller.get(f"/traffic_configs/{seeded.config_id}")
        assert config["status"] == "active"
        assert [(one["model_version_name"], one["weight"]) for one in config["variants"]] == [
            ("v1", 100)
        ]
    assert set(seeded.versions) == set(VERSIONS)
    assert seeded.stable == "v1"


async def the_printed_calls_do_what_they_say(layout, seeded):
    if shutil.which("curl") is None:
        pytest.skip("the printed calls need curl")
    start, follow, promote = printed_calls(first_steps(layout, seeded))
    abort = promote.replace("/promote", "/abort")
    async with Load(layout.gateway_url, MODEL, 50):
        output = await shell(f"{start}\n{abort} -s; echo\n{follow} -s")
    rollout_id, answer, *stream = output.splitlines()
    assert re.fullmatch(r"[0-9a-f-]{36}", rollout_id)
    assert json.loads(answer)["rollout"]["candidate_version"] == "v2"
    assert stream[0] == "retry: 2000"
    assert [line for line in stream if line.startswith("event:")][-1] == "event: rolled_back"


def printed_calls(text):
    """The three curl commands, each as it would be pasted."""
    return [
        textblock.split("\n", 1)[1]
        for textblock in text.strip("\n").split("\n\n")
        if "curl" in textblock
    ]


async def shell(commands):
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", commands, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, complaints = await process.communicate()
    assert complaints == b""
    return output.decode()


async def held(layout):
    """How many of everything there is."""
    async with calling(layout) as caller:
        return {path: (await caller.get(path))["total"] for path in LISTS}
