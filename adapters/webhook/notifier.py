"""Calls hooks: signed, at checked addresses only, within a time, never reading much."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from adapters.webhook.pins import Pin, Resolve, host_of, parsed, pins, port_of, resolver
from adapters.webhook.signature import signed
from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, Refused, Unreachable
from domain.hooks import Hook
from domain.notices import Answer, Notice, Said, document
from domain.ports import Notifier

DELIVERY = "Tidegate-Delivery"
MOST_BYTES = 64 * 1024
LONGEST_DETAIL = 200
URL_OF_HOOK = "a hook's URL"
MOST_REDIRECTS = 3
# The two that keep method and body.
REDIRECTS = frozenset({httpx.codes.TEMPORARY_REDIRECT, httpx.codes.PERMANENT_REDIRECT})
# Trouble that is told as a 4xx: the same call may be answered a little later.
ASK_LATER = frozenset(
    {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS}
)
LOOK_UPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    location: str
    detail: str


class WebhookNotifier(Notifier):
    """Made by `connect`, which owns the connections and the threads.

    It speaks through a transport and not through a client, which would keep cookies for the next
    project's hook, and take proxies from the environment that look names up for themselves.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        allowed: AllowedHosts,
        key: bytes,
        resolve: Resolve,
    ) -> None:
        self._transport = transport
        self._allowed = allowed
        self._key = key
        self._resolve = resolve

    async def call(self, hook: Hook, notice: Notice) -> Answer:
        body = json.dumps(document(notice), separators=(",", ":")).encode()
        seconds = hook.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                reply = await self._deliver(hook, body, self._headers(notice, body))
        except TimeoutError as error:
            raise Unreachable(f"{hook.name} did not answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise Unreachable(f"{hook.name} cannot be reached: {error!r}") from error
        return _answer(hook, reply)

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        return {
            "User-Agent": "tidegate",
            "Content-Type": "application/json",
            # Unpacked, an answer of a few bytes could fill the memory.
            "Accept-Encoding": "identity",
            DELIVERY: notice.delivery,
            **signed(self._key, body, datetime.now(UTC)),
        }

    async def _deliver(self, hook: Hook, body: bytes, headers: dict[str, str]) -> _Reply:
        url = parsed(hook.url, URL_OF_HOOK)
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._post(hook, url, headers, body)
            if not httpx.codes.is_redirect(reply.status):
                return reply
            url = _redirected(hook, url, reply)
        raise Refused(f"{hook.name} redirects more than {MOST_REDIRECTS} times")

    async def _post(
        self, hook: Hook, url: httpx.URL, headers: dict[str, str], body: bytes
    ) -> _Reply:
        """Try the host's addresses in turn; behind the first that takes a connection, no other."""
        *others, last = await pins(url, self._allowed, self._resolve)
        for pin in others:
            try:
                return await self._send(pin, hook, headers, body)
            except httpx.ConnectError:
                continue
        return await self._send(last, hook, headers, body)

    async def _send(self, pin: Pin, hook: Hook, headers: dict[str, str], body: bytes) -> _Reply:
        request = pin.request(headers, body, hook.timeout.total_seconds())
        response = await self._transport.handle_async_request(request)
        async with aclosing(response):
            return _Reply(
                status=response.status_code,
                location=response.headers.get("Location", ""),
                detail=_readable(await _beginning(response)),
            )


@asynccontextmanager
async def connect(
    allowed: AllowedHosts,
    key: str,
    *,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[WebhookNotifier]:
    """Build the notifier; nobody is called yet.

    Connections are not kept: one to an address is for one host's certificate, and a later call to
    another host at the same address must not come over it.
    """
    threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="hooks")
    transport = httpx.AsyncHTTPTransport(
        verify=tls or httpx.create_ssl_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    try:
        async with transport:
            yield WebhookNotifier(transport, allowed, key.encode(), resolve or resolver(threads))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _redirected(hook: Hook, url: httpx.URL, reply: _Reply) -> httpx.URL:
    """Where a redirect leads. Raises Forbidden where it leaves the host, or https."""
    if reply.status not in REDIRECTS or not reply.location:
        raise Refused(f"{hook.name} redirects with a {reply.status}; name the final URL instead")
    try:
        target = parsed(str(url.join(reply.location)), URL_OF_HOOK)
    except httpx.InvalidURL as error:
        raise Refused(f"{hook.name} redirects to what is no URL") from error
    if host_of(target) != host_of(url):
        raise Forbidden(f"{hook.name} redirects to another host, {host_of(target)}")
    if url.scheme == "https" and target.scheme != "https":
        raise Forbidden(f"{hook.name} redirects from https to http, port {port_of(target)}")
    return target


def _answer(hook: Hook, reply: _Reply) -> Answer:
    """What the status says. Raises Unreachable where it speaks of trouble and not of the matter."""
    detail = f"answered {reply.status}" + (f": {reply.detail}" if reply.detail else "")
    if httpx.codes.is_success(reply.status):
        return Answer(said=Said.YES, status=reply.status, detail=detail)
    if httpx.codes.is_client_error(reply.status) and reply.status not in ASK_LATER:
        return Answer(said=Said.NO, status=reply.status, detail=detail)
    raise Unreachable(f"{hook.name} {detail}")


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MOST_BYTES:
            break
    return body[:MOST_BYTES]


def _readable(body: bytes) -> str:
    """The first line or so of an answer, fit for a history."""
    words = body[: 4 * LONGEST_DETAIL].decode("utf-8", "replace").split()
    text = "".join(char if char.isprintable() else "?" for char in " ".join(words))
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 1] + "…"
