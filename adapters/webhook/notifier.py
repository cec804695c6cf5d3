"""Calls hooks: signed, at checked addresses only, within a time, never reading much."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from adapters.webhook.connections import ASK_LATER, Connections, connected
from adapters.webhook.pins import Resolve, host_of, parsed, port_of
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    status: int
    location: str
    detail: str


class WebhookNotifier(Notifier):
    """Made by `connect`, which owns the connections."""

    def __init__(self, connections: Connections, key: bytes) -> None:
        self._connections, self._key = connections, key

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
        seconds = hook.timeout.total_seconds()
        response = await self._connections.send(url, headers, body, seconds)
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
    """Build the notifier; nobody is called yet."""
    async with connected("hooks", allowed, resolve=resolve, tls=tls) as connections:
        yield WebhookNotifier(connections, key.encode())


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
