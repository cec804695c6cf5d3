"""Asks URLs for JSON: at checked addresses only, within a time, never following or reading much."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx

from adapters.webhook.connections import ASK_LATER, Connections, connected
from adapters.webhook.pins import Resolve, host_of, parsed
from domain.allowed_hosts import AllowedHosts
from domain.errors import Refused, Unreachable
from domain.reading_port import WebSource
from domain.web_questions import WebCall

MOST_BYTES = 1024 * 1024


class WebAnswers(WebSource):
    """Made by `connect`, which owns the connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def ask(self, call: WebCall) -> Any:
        seconds = call.timeout.total_seconds()
        url = parsed(call.url, "the URL")
        try:
            async with asyncio.timeout(seconds):
                body = await self._call(call, url)
        except TimeoutError as error:
            raise Unreachable(f"{host_of(url)} did not answer within {seconds:g} s") from error
        except httpx.LocalProtocolError:  # it quotes the header that it objects to: a secret
            raise Refused(f"{host_of(url)} cannot be asked with these headers") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"{host_of(url)} cannot be reached: {error!r}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"{host_of(url)} answered what is no JSON") from error

    async def _call(self, call: WebCall, url: httpx.URL) -> bytes:
        seconds = call.timeout.total_seconds()
        response = await self._connections.send(
            url, _headers(call), call.body, seconds, method=call.method
        )
        async with aclosing(response):
            _require_success(host_of(url), response.status_code)
            return await _whole(host_of(url), response)


@asynccontextmanager
async def connect(
    allowed: AllowedHosts, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[WebAnswers]:
    """Nobody is called yet."""
    async with connected("web", allowed, resolve=resolve, tls=tls) as connections:
        yield WebAnswers(connections)


def _headers(call: WebCall) -> dict[str, str]:
    ours = {
        "User-Agent": "tidegate",
        "Accept": "application/json",
        # Unpacked, an answer of a few bytes could fill the memory.
        "Accept-Encoding": "identity",
    }
    if call.body:
        ours["Content-Type"] = "application/json"
    given = {name.lower() for name, _ in call.headers}
    return {
        **{name: value for name, value in ours.items() if name.lower() not in given},
        **dict(call.headers),
    }


def _require_success(host: str, status: int) -> None:
    """What an answer that is no success says is not repeated: whose it is, is not known."""
    if httpx.codes.is_success(status):
        return
    if httpx.codes.is_redirect(status):
        raise Refused(f"{host} redirects with a {status}; name the final URL instead")
    if httpx.codes.is_client_error(status) and status not in ASK_LATER:
        raise Refused(f"{host} answered {status}")
    raise Unreachable(f"{host} answered {status}")


async def _whole(host: str, response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(f"{host} answered more than {MOST_BYTES:,} bytes")
    return body
