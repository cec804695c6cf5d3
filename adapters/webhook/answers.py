"""Asks URLs for JSON: at checked addresses only, within a time, never following or reading much."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx

from adapters.webhook.pins import Pin, Resolve, host_of, parsed, pins, resolver
from domain.allowed_hosts import AllowedHosts
from domain.errors import Refused, Unreachable
from domain.reading_port import WebSource
from domain.web_questions import WebCall

MOST_BYTES = 1024 * 1024
LOOK_UPS = 8
# Trouble that is told as a 4xx: the same call may be answered a little later.
_ASK_LATER = frozenset(
    {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
)


class WebAnswers(WebSource):
    """Made by `connect`, which owns the connections and the threads.

    It speaks through a transport and not through a client, which would keep cookies, follow
    redirects, and take proxies from the environment that look names up for themselves.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, allowed: AllowedHosts, resolve: Resolve
    ) -> None:
        self._transport, self._allowed, self._resolve = transport, allowed, resolve

    async def ask(self, call: WebCall) -> Any:
        seconds = call.timeout.total_seconds()
        url = parsed(call.url, "the URL")
        try:
            async with asyncio.timeout(seconds):
                body = await self._call(call, url)
        except TimeoutError as error:
            raise Unreachable(f"{host_of(url)} did not answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{host_of(url)} cannot be reached: {error!r}") from error
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(f"{host_of(url)} answered what is no JSON") from error

    async def _call(self, call: WebCall, url: httpx.URL) -> bytes:
        """Try the host's addresses in turn; behind the first that takes a connection, no other."""
        *others, last = await pins(url, self._allowed, self._resolve)
        for pin in others:
            try:
                return await self._send(pin, call)
            except httpx.ConnectError:
                continue
        return await self._send(last, call)

    async def _send(self, pin: Pin, call: WebCall) -> bytes:
        request = pin.request(
            _headers(call), call.body, call.timeout.total_seconds(), method=call.method
        )
        response = await self._transport.handle_async_request(request)
        async with aclosing(response):
            _require_success(host_of(pin.url), response.status_code)
            return await _whole(host_of(pin.url), response)


@asynccontextmanager
async def connect(
    allowed: AllowedHosts, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[WebAnswers]:
    """Nobody is called yet. Connections are not kept: see the notifier's."""
    threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="web")
    transport = httpx.AsyncHTTPTransport(
        verify=tls or httpx.create_ssl_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    try:
        async with transport:
            yield WebAnswers(transport, allowed, resolve or resolver(threads))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


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
    if httpx.codes.is_client_error(status) and status not in _ASK_LATER:
        raise Refused(f"{host} answered {status}")
    raise Unreachable(f"{host} answered {status}")


async def _whole(host: str, response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(f"{host} answered more than {MOST_BYTES:,} bytes")
    return body
