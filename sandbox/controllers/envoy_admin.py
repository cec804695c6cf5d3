"""What Envoy says of itself on its admin port: which configuration it has taken or refused."""

from types import TracebackType
from typing import Self

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=2, connect=0.5)
_OK = 200


class EnvoyUnreachable(Exception):
    """No Envoy answers; when it starts it will read the files as they are then."""


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

    async def version(self, prefix: str) -> str:
        """The version in force of one kind of configuration. Raises EnvoyUnreachable."""
        # Text readouts are few. Looking through all counters costs Envoy's main thread 10 ms and
        # more, in which it takes no new configuration.
        stats = await self._stats(rf"^{prefix}\.version_text$", "TextReadouts")
        return stats.get(f"{prefix}.version_text", "").strip('"')

    async def healthy_members(self) -> dict[str, int]:
        """By cluster. Raises EnvoyUnreachable."""
        stats = await self._stats(r"^cluster\..*\.membership_healthy$", "Gauges")
        start, end = len("cluster."), -len(".membership_healthy")
        return {name[start:end]: int(value) for name, value in stats.items()}

    async def _stats(self, pattern: str, kind: str) -> dict[str, str]:
        query = {"filter": pattern, "type": kind}
        try:
            async with self._session.get("/stats", params=query) as response:
                text = await response.text()
                if response.status != _OK:
                    raise EnvoyUnreachable(f"{response.status}: {text[:200]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EnvoyUnreachable(repr(error)) from error
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value for name, _, value in pairs}
