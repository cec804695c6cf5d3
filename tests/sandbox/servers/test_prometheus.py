import asyncio
import json

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, start_http_server

from sandbox.cluster import cluster
from sandbox.ports import free_port
from sandbox.servers import prometheus
from sandbox.servers.binaries import BinaryMissing

FIRST_SCRAPE_SECONDS = 20


async def test_the_gateways_statistics_are_scraped(prometheus_server):
    await until_sample(prometheus_server, 'up{job="envoy"} == 1')
    await until_sample(prometheus_server, 'envoy_http_downstream_rq_total{job="envoy"}')


async def test_a_model_server_is_scraped_once_its_target_file_is_there(prometheus_server):
    registry = CollectorRegistry()
    Counter("tokens", "Tokens served", registry=registry).inc(7)
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", registry)
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"variant": "chat-v2"}}]
    (prometheus_server.targets_dir / "chat-v2.json").write_text(json.dumps(targets))
    try:
        await until_sample(prometheus_server, 'tokens_total{job="models",variant="chat-v2"} == 7')
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_samples_survive_a_kill(layout):
    async with cluster(layout, only={"envoy", "prometheus"}) as running:
        server = prometheus.of_layout(layout)
        await until_sample(server, 'up{job="envoy"} == 1')
        await running.kill_part("prometheus")
        await running.stop_part("envoy")
        await running.start_part("prometheus")
        await until_sample(server, 'max_over_time(up{job="envoy"}[1m]) == 1')


def test_a_named_program_is_preferred_and_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_BIN", str(tmp_path / "none"))
    with pytest.raises(BinaryMissing, match="TIDEGATE_PROMETHEUS_BIN must name a program"):
        prometheus.find_binary(tmp_path)


def test_without_any_server_the_error_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.delenv("TIDEGATE_PROMETHEUS_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinaryMissing, match="make setup"):
        prometheus.find_binary(tmp_path)


async def until_sample(server, query):
    async with asyncio.timeout(FIRST_SCRAPE_SECONDS), httpx.AsyncClient() as client:
        while True:
            answer = await client.get(f"{server.url}/api/v1/query", params={"query": query})
            if answer.json()["data"]["result"]:
                return
            await asyncio.sleep(0.1)
