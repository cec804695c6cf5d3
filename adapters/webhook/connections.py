"""Connections to the URLs that people name: at checked addresses only, and never kept."""

import ssl
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx

from adapters.webhook.pins import Resolve, pins, resolver
from domain.allowed_hosts import AllowedHosts

LOOK_UPS = 8
# Trouble that is told as a 4xx: the same call may be answered a little later.
ASK_LATER = frozenset(
    {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
)


class Connections:
    """Made by `connected`, which owns the transport and the threads.

    It speaks through a transport and not through a client, which would keep cookies for the next
    project's URL, follow redirects, and take proxies from the environment that look names up for
    themselves.
    """

    def __init__(
        self, transport: httpx.AsyncBaseTransport, allowed: AllowedHosts, resolve: Resolve
    ) -> None:
        self._transport, self._allowed, self._resolve = transport, allowed, resolve

    async def send(
        self,
        url: httpx.URL,
        headers: dict[str, str],
        body: bytes,
        seconds: float,
        *,
        method: str = "POST",
    ) -> httpx.Response:
        """Call the URL; the answer is to be read and closed by whoever asks.

        Tries the host's addresses in turn; behind the first that takes a connection, no other.
        Raises Forbidden and Unreachable as `pins` does, and httpx.HTTPError.
        """
        *others, last = (
            pin.request(headers, body, seconds, method)
            for pin in await pins(url, self._allowed, self._resolve)
        )
        for request in others:
            try:
                return await self._transport.handle_async_request(request)
            except httpx.ConnectError:
                continue
        return await self._transport.handle_async_request(last)


@asynccontextmanager
async def connected(
    name: str,
    allowed: AllowedHosts,
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Connections]:
    """Nobody is called yet; `name` is that of the threads that look hosts up.

    Connections are not kept: one to an address is for one host's certificate, and a later call to
    another host at the same address must not come over it.
    """
    threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix=name)
    transport = httpx.AsyncHTTPTransport(
        verify=tls or httpx.create_ssl_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    try:
        async with transport:
            yield Connections(transport, allowed, resolve or resolver(threads))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
