"""The model server over HTTP: answers, streams, failures, metrics, faults, the end."""

import asyncio
import json
import signal
import sys
from contextlib import suppress

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.process import StartFailed

FAST = "sim://chat?latency_ms=1&ttft_ms=1&tokens=4"


@pytest.mark.parametrize(
    ("path", "prompt"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/completions", {"prompt": "hi"}),
    ],
)
async def test_an_answer_has_openais_form(serve, path, prompt):
    async with serve(FAST) as server:
        status, answer = await server.call("POST", path, json={"model": "chat", **prompt})
    assert status == 200
    assert answer["model"] == "chat"
    assert answer["usage"]["completion_tokens"] == 4
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice.get("text") or choice["message"]["role"] == "assistant"


async def test_a_stream_has_a_chunk_a_token_and_an_end(serve):
    async with serve(FAST) as server:
        status, text = await server.chat(stream=True)
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert status == 200
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert len(chunks) == 4
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "length"]


async def test_answers_say_who_gave_them(serve):
    async with serve(FAST) as server, server.http.get(f"{server.url}/v1/models") as response:
        assert response.headers["x-served-by"] == "chat-v2"
        assert (await response.json())["data"][0]["id"] == "chat-v2"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'{"messages": [{}]}', "model must be a string"),
        (b'{"model": "chat"}', "messages must not be empty"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(serve, body, message):
    async with serve(FAST) as server:
        status, answer = await server.call("POST", "/v1/chat/completions", data=body)
    assert status == 400
    assert message in answer["error"]["message"]


async def test_unknown_paths_and_methods_are_refused(serve):
    async with serve(FAST) as server:
        assert (await server.call("GET", "/nothing"))[0] == 404
        assert (await server.call("GET", "/v1/chat/completions"))[0] == 405


async def test_a_loading_model_is_not_healthy_yet(serve):
    async with serve("sim://chat?load_seconds=60") as server:
        assert (await server.call("GET", "/health"))[0] == 503
        assert (await server.chat())[0] == 503


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sim://chat?fail_load=1&load_seconds=0.2", "model 'chat' failed to load"),
        ("sim://chat?nonsense=1", "unknown parameter 'nonsense'"),
    ],
)
async def test_a_model_that_cannot_load_ends_its_server_with_the_reason(
    serve, tmp_path, uri, reason
):
    log = tmp_path / "termination"
    with suppress(StartFailed):
        async with serve(uri, "--termination-log", str(log)) as server:
            assert await server.process.exited() == 1
    assert reason in log.read_text()


async def test_metrics_count_what_was_answered(serve):
    async with serve(FAST) as server:
        for _ in range(3):
            await server.chat()
        await server.call("PUT", "/sim/behaviour", json={"error_rate": 1})
        await server.chat()
        labels = 'engine="0",model_name="chat-v2"'
        assert await server.metric(f"vllm:e2e_request_latency_seconds_count{{{labels}}}") == 3
        assert await server.metric(f"vllm:generation_tokens_total{{{labels}}}") == 12
        succeeded = f'vllm:request_success_total{{{labels},finished_reason="length"}}'
        assert await server.metric(succeeded) == 3
        handler = 'http_requests_total{handler="/v1/chat/completions",method="POST"'
        assert await server.metric(f'{handler},status="2xx"') == 3
        assert await server.metric(f'{handler},status="5xx"') == 1
        first = f'vllm:time_to_first_token_seconds_bucket{{{labels},le="+Inf"}}'
        assert await server.metric(first) == 3


async def test_prometheus_can_read_the_metrics(serve):
    async with serve(FAST) as server:
        await server.chat()
        _, text = await server.call("GET", "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["vllm:inter_token_latency_seconds"].type == "histogram"
    assert families["http_requests"].type == "counter"


async def test_a_fault_can_be_switched_on_while_it_runs(serve):
    async with serve(FAST) as server:
        assert (await server.chat())[0] == 200
        status, now = await server.call("PUT", "/sim/behaviour", json={"error_rate": 1})
        assert (status, now["error_rate"], now["latency_ms"]) == (200, 1.0, 1.0)
        status, answer = await server.chat()
        assert (status, answer["error"]["type"]) == (500, "server_error")


async def test_a_fault_that_breaks_the_rules_changes_nothing(serve):
    async with serve(FAST) as server:
        before = await server.call("GET", "/sim/behaviour")
        for body in ('{"error_rate": 2}', '{"latency": 1}', '{"seed": 3}', "[]"):
            status, _ = await server.call("PUT", "/sim/behaviour", data=body)
            assert status == 400
        assert await server.call("GET", "/sim/behaviour") == before


async def test_a_request_under_way_is_answered_before_the_server_ends(serve):
    async with serve("sim://chat?latency_ms=700") as server:
        answer = asyncio.create_task(server.chat())
        await asyncio.sleep(0.2)
        server.process.signal(signal.SIGTERM)
        assert (await answer)[0] == 200
        await server.process.exited()


async def test_it_stays_small(serve):
    async with serve(FAST) as server:
        await server.chat()
        assert psutil.Process(server.process.pid).memory_info().rss < 45 * 2**20


async def test_it_imports_no_heavy_library():
    code = "import sys, sandbox.model_server.__main__; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    listed = (await process.communicate())[0].decode().split()
    heavy = {"aiohttp", "fastapi", "pydantic", "starlette", "prometheus_client", "yaml", "numpy"}
    assert not heavy & set(listed)
