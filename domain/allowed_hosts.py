"""Where a call may go: hosts that an operator named, at addresses that are nobody's inside."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

Address = IPv4Address | IPv6Address

RULE = (
    "must be hosts separated by commas, each a name, *.name or an address, with or without a "
    "port, such as hooks.example.com,*.hooks.svc:8080,[::1]:9000"
)
ANY_BELOW = "*."
HIGHEST_PORT = 65_535
_ENTRY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(:(?P<port>[1-9][0-9]{0,4}))?")
_NAME = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*")
_NUMERIC_END = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# What clouds tell machines about themselves, credentials included, at addresses that are neither
# loopback nor link-local: AWS and GCP over IPv6, Alibaba, Azure.
METADATA: frozenset[Address] = frozenset(
    ip_address(one)
    for one in (
        *("169.254.169.254", "fd00:ec2::254", "fd20:ce::254"),
        *("100.100.100.200", "168.63.129.16"),
    )
)
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHost:
    """One host, or every name below one (`*.example.com`); a port, or any."""

    host: str
    port: int | None = None

    def matches(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.host.startswith(ANY_BELOW):
            return host.endswith(self.host[1:]) and len(host) >= len(self.host)
        return host == self.host


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that hooks may be sent to; none of them means that there are no hooks."""

    entries: tuple[AllowedHost, ...] = ()

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a list separated by commas. Raises ValueError with the rule."""
        return cls(tuple(_entry(part.strip().lower()) for part in text.split(",") if part.strip()))

    def permits(self, host: str, port: int) -> bool:
        plain = normal(host)
        return any(entry.matches(plain, port) for entry in self.entries)

    def objection(self, host: str, port: int, address: str) -> str:
        """Why a host must not be called at the address that its name has now; empty if it may.

        A name that was allowed says nothing about where it leads: whoever holds it may point it
        at this very machine. A loopback or link-local address is called only if an entry is that
        address, a loopback one also for the entry `localhost`.
        """
        if not self.permits(host, port):
            return f"{host}:{port} is not an allowed host"
        plain = _unwrapped(ip_address(address))
        if plain.is_loopback and normal(host) == "localhost":
            return ""
        if _is_local(plain):
            return (
                "" if _is_address(host) else f"{host} leads to {address}, which is {_what(plain)}"
            )
        if what := _what(plain):
            return f"{host} leads to {address}, which is {what}"
        return ""


def normal(host: str) -> str:
    """A host as it is compared: lower case, without a dot at the end, addresses in short form."""
    plain = host.lower().removesuffix(".")
    return str(ip_address(plain)) if _is_address(plain) else plain


def is_host(host: str) -> bool:
    """Whether it is a name, or an address in its usual form: never 127.1 or 0x7f000001."""
    plain = normal(host)
    return _is_address(plain) or bool(_NAME.fullmatch(plain) and not _NUMERIC_END.fullmatch(plain))


def _entry(text: str) -> AllowedHost:
    found = _ENTRY.fullmatch(text)
    if not found:
        raise ValueError(RULE)
    host, port = found["host"].strip("[]"), int(found["port"] or 0)
    if port > HIGHEST_PORT or not is_host(host.removeprefix(ANY_BELOW)):
        raise ValueError(RULE)
    if host.startswith(ANY_BELOW) and _is_address(host.removeprefix(ANY_BELOW)):
        raise ValueError(RULE)
    return AllowedHost(host=normal(host), port=port or None)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_local(address: Address) -> bool:
    return address not in METADATA and (address.is_loopback or address.is_link_local)


def _what(address: Address) -> str:
    """What makes an address one that is never called by accident; empty for all others."""
    return next(_hazards(address), "")


def _hazards(address: Address) -> Iterator[str]:
    if address in METADATA:
        yield "a cloud's metadata service"
    if address.is_loopback:
        yield "a loopback address"
    if address.is_link_local:
        yield "a link-local address"
    if address.is_multicast:
        yield "a multicast address"
    if address.is_unspecified or address in _THIS_NETWORK:
        yield "no address of a host"
    if address.is_reserved:
        yield "a reserved address"
