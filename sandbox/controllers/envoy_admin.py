"""What Envoy says of itself on its admin port: which configuration it has taken or refused."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=2, connect=0.5)
_OK = 200


class EnvoyUnreachable(Exception):
    """No Envoy answers; when it starts it will read the files as they are then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One kind of configuration: the version in force, and how often one was refused."""

    version: str
    refusals: int


class EnvoyAdmin:
    def __init__(self, url: str) -> None:
        self._session = aiohttp.ClientSession(url, timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def taken(self, prefix: str) -> Taken:
        """Of the subscription with this stat prefix. Raises EnvoyUnreachable."""
        stats = await self._stats(rf"^{prefix}\.(version_text|update_rejected)$")
        return Taken(
            version=stats.get(f"{prefix}.version_text", "").strip('"'),
            refusals=int(stats.get(f"{prefix}.update_rejected", "0")),
        )

    async def healthy_members(self) -> dict[str, int]:
        """By cluster. Raises EnvoyUnreachable."""
        stats = await self._stats(r"^cluster\..*\.membership_healthy$")
        start, end = len("cluster."), -len(".membership_healthy")
        return {name[start:end]: int(value) for name, value in stats.items()}

    async def _stats(self, pattern: str) -> dict[str, str]:
        try:
            async with self._session.get("/stats", params={"filter": pattern}) as response:
                text = await response.text()
                if response.status != _OK:
                    raise EnvoyUnreachable(f"{response.status}: {text[:200]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EnvoyUnreachable(repr(error)) from error
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value for name, _, value in pairs}
