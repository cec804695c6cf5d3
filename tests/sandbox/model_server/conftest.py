"""Model servers as processes of their own."""

import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sandbox.ports import free_port
from sandbox.probe import http_status
from sandbox.process import ProcessSpec, running


class Server:
    def __init__(self, url, process, http):
        self.url = url
        self.process = process
        self.http = http

    async def call(self, method, path, **arguments):
        """The status and the body; JSON where it is JSON."""
        async with self.http.request(method, self.url + path, **arguments) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())

    async def chat(self, **more):
        body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], **more}
        return await self.call("POST", "/v1/chat/completions", json=body)

    async def metric(self, name):
        """The value of the first sample whose line starts so."""
        _, text = await self.call("GET", "/metrics")
        line = next((one for one in text.splitlines() if one.startswith(name)), None)
        return None if line is None else float(line.rsplit(" ", 1)[1])


@pytest.fixture
async def serve(tmp_path):
    """Starts `serve(uri)` as a context; gives a Server that answers to /health in some way."""

    @asynccontextmanager
    async def start(uri, *flags):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        arguments = ("--name", "chat-v2", "--uri", uri, "--port", str(port), *flags)

        async def answers():
            return await http_status(f"{url}/health") is not None

        spec = ProcessSpec(
            name="model",
            argv=(sys.executable, "-m", "sandbox.model_server", *arguments),
            ready=answers,
        )
        async with (
            running(spec, log=tmp_path / "model.log") as process,
            aiohttp.ClientSession() as http,
        ):
            yield Server(url, process, http)

    return start
