"""Questions to a URL: where they go, how long they take, and how much they read."""

import asyncio
import json
import traceback
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from adapters.webhook.answers import MOST_BYTES, connect
from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, Refused, Unreachable
from domain.web_questions import WebCall
from sandbox.ports import free_port
from tests.metrics.servers import serving


class Server:
    def __init__(self):
        self.address = ""
        self.requests = []
        self.reply = lambda: web.json_response({"score": 1})

    async def answer(self, request):
        self.requests.append((request, await request.read()))
        reply = self.reply()
        return await reply if asyncio.iscoroutine(reply) else reply

    def call(self, url=None, **changes):
        given: dict[str, Any] = {
            "method": "GET",
            "headers": (),
            "body": b"",
            "timeout": timedelta(seconds=5),
        }
        return WebCall(url=url or f"http://{self.address}/score", **(given | changes))


@pytest.fixture
async def server():
    made = Server()
    async with serving(made.answer) as made.address:
        yield made


async def test_method_path_headers_and_body_arrive_as_they_were_given(server):
    body = json.dumps({"model": "chat-v2"}).encode()
    call = server.call(
        f"http://{server.address}/a%2Fb?x=%20",
        method="POST",
        headers=(("Authorization", "Bearer s3cret"), ("user-agent", "ours")),
        body=body,
    )
    async with connect(AllowedHosts.read(server.address)) as source:
        assert await source.ask(call) == {"score": 1}
    ((request, sent),) = server.requests
    assert (request.method, request.raw_path, sent) == ("POST", "/a%2Fb?x=%20", body)
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers.getall("User-Agent") == ["ours"]
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"


async def test_a_header_that_cannot_be_sent_is_refused_and_not_told(server):
    call = server.call(headers=(("Authorization", "Bearer s3cret "),))
    async with connect(AllowedHosts.read(server.address)) as source:
        with pytest.raises(Refused, match="cannot be asked with these headers") as refused:
            await source.ask(call)
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


async def test_a_host_that_is_not_allowed_is_not_called(server):
    async with connect(AllowedHosts.read("eval.example.com")) as source:
        with pytest.raises(Forbidden, match="not an allowed host"):
            await source.ask(server.call())
    assert server.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "100.100.100.200"])
async def test_an_allowed_name_that_leads_inside_is_not_called(server, address):
    async def resolve(host, port):
        return [address]

    port = server.address.partition(":")[2]
    url = f"http://eval.example.com:{port}/score"
    async with connect(AllowedHosts.read("eval.example.com"), resolve=resolve) as source:
        with pytest.raises(Forbidden, match="leads to"):
            await source.ask(server.call(url))
    assert server.requests == []


async def test_a_redirect_is_not_followed_even_to_the_same_host(server):
    server.reply = lambda: web.Response(status=307, headers={"Location": "/elsewhere"})
    async with connect(AllowedHosts.read(server.address)) as source:
        with pytest.raises(Refused, match="name the final URL"):
            await source.ask(server.call())
    assert len(server.requests) == 1


async def test_an_answer_that_is_too_long_is_refused(server):
    async with connect(AllowedHosts.read(server.address)) as source:
        server.reply = lambda: web.json_response("x" * (MOST_BYTES - 2))
        assert len(await source.ask(server.call())) == MOST_BYTES - 2
        server.reply = lambda: web.json_response("x" * (MOST_BYTES - 1))
        with pytest.raises(Refused, match="more than 1,048,576 bytes"):
            await source.ask(server.call())


async def test_an_answer_nested_too_deep_is_refused(server):
    server.reply = lambda: web.Response(text="[" * 100_000)
    async with connect(AllowedHosts.read(server.address)) as source:
        with pytest.raises(Refused, match="no JSON"):
            await source.ask(server.call())


async def test_who_keeps_silent_is_unreachable_within_the_time(server):
    released = asyncio.Event()

    async def silent():
        await released.wait()
        return web.Response()

    server.reply = silent
    async with connect(AllowedHosts.read(server.address)) as source:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
            await source.ask(server.call(timeout=timedelta(seconds=0.2)))
    released.set()


async def test_nobody_is_unreachable_and_what_is_secret_in_the_url_is_not_told():
    address = f"127.0.0.1:{free_port()}"
    async with connect(AllowedHosts.read(address)) as source:
        with pytest.raises(Unreachable, match="cannot be reached") as told:
            await source.ask(Server().call(f"http://{address}/s3cret"))
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("status", [408, 425, 429])
async def test_a_4xx_that_means_later_is_unreachable(server, status):
    server.reply = lambda: web.Response(status=status)
    async with connect(AllowedHosts.read(server.address)) as source:
        with pytest.raises(Unreachable, match=f"answered {status}"):
            await source.ask(server.call())
