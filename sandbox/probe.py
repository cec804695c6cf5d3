"""Asks a local server over HTTP whether it is there, with no client library to import first."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

_ATTEMPT_SECONDS = 2.0


async def http_status(url: str, *, method: str = "GET", body: bytes = b"") -> int | None:
    """The status that `url` answers with; None when nothing answers in two seconds."""
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            return await _ask(url, method, body)
    except (OSError, TimeoutError, ValueError, IndexError):
        return None


def answers(url: str, *, status: int = 200) -> Callable[[], Awaitable[bool]]:
    """A readiness probe that holds while `url` answers with `status`."""

    async def probe() -> bool:
        return await http_status(url) == status

    return probe


async def _ask(url: str, method: str, body: bytes) -> int:
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
