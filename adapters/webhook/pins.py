"""Looks a host up once and holds on to what was found, so that a check and a call agree.

Were the name looked up again for the call, its owner could answer the check with an address that
may be called, and the call with one that may not.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import httpx

from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, Refused, Unreachable
from domain.hooks import PORTS

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A URL and the one address that it is called at."""

    url: httpx.URL
    address: str

    def request(
        self, headers: dict[str, str], body: bytes, seconds: float, method: str = "POST"
    ) -> httpx.Request:
        """A call of the address; name and certificate stay those of the URL's host."""
        phases = ("connect", "read", "write", "pool")
        return httpx.Request(
            method,
            self.url.copy_with(host=self.address),
            headers={"Host": self.url.netloc.decode("ascii"), **headers},
            content=body,
            extensions={
                "sni_hostname": host_of(self.url),
                "timeout": dict.fromkeys(phases, seconds),
            },
        )


async def pins(url: httpx.URL, allowed: AllowedHosts, resolve: Resolve) -> Sequence[Pin]:
    """The addresses that the URL's host has now.

    Raises Forbidden where the host is not allowed, or one of its addresses is none to be called;
    Unreachable where it has none.
    """
    host, port = host_of(url), port_of(url)
    if not allowed.permits(host, port):
        raise Forbidden(f"{host}:{port} is not an allowed host")
    try:
        addresses = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be looked up: {error}") from error
    for address in addresses:
        if objection := allowed.objection(host, port, address):
            raise Forbidden(objection)
    if not addresses:
        raise Unreachable(f"{host} has no address")
    return [Pin(url=url, address=address) for address in addresses]


def resolver(threads: Executor) -> Resolve:
    """Asks the system, from threads of its own: a slow name must not hold up other look-ups."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(threads, _look_up, host, port)
        return tuple(dict.fromkeys(found))

    return resolve


def parsed(url: str, named: str) -> httpx.URL:
    """Raises Refused for what is no http URL; the URL is not repeated, it may hold a secret."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Refused(f"{named} makes no sense") from error
    if found.scheme not in PORTS or found.userinfo:
        raise Refused(f"{named} must be http or https, without a user")
    return found


def host_of(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    return url.port or PORTS[url.scheme]


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
