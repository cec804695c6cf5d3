"""A client for measuring: one GET after the other on a connection that stays, no more.

A real client library would cost as much as the servers that it is to compare.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A GET of a URL of this machine."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Connection:
    """Asks the same thing again and again. The answers must state their length."""

    def __init__(self, ask: Ask) -> None:
        self._parts = urlsplit(ask.url)
        target = self._parts.path + (f"?{self._parts.query}" if self._parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in ask.headers.items()]
        self._request = "\r\n".join([*lines, "", ""]).encode()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._parts.hostname, self._parts.port
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self) -> bytes:
        """The body. Raises RuntimeError for anything but a 200."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length:"))
        body = await self._reader.readexactly(int(length.split(b":")[1]))
        if b" 200 " not in lines[0] + b" ":
            raise RuntimeError(f"{lines[0].decode()}: {body[:300].decode()}")
        return body


async def hammer(ask: Ask, *, connections: int, seconds: float) -> list[float]:
    """How long each answer took, in seconds, with so many connections asking all the time."""
    ends = time.perf_counter() + seconds
    found = await asyncio.gather(*(_ask_until(ends, ask) for _ in range(connections)))
    return [taken for each in found for taken in each]


async def _ask_until(ends: float, ask: Ask) -> list[float]:
    taken = []
    async with Connection(ask) as connection:
        while (began := time.perf_counter()) < ends:
            await connection.ask()
            taken.append(time.perf_counter() - began)
    return taken
