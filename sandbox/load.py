"""Sends requests through the gateway at a steady rate, and remembers how each one went.

Open loop: a slow answer delays no later request, as with real users. Only this machine is ever
asked. `python -m sandbox.load --rate 300 --seconds 30` prints a table.
"""

import argparse
import asyncio
import ipaddress
import json
import sys
import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from sandbox.layout import Layout

GATEWAY = "(gateway)"
"""The variant of answers that no model server gave, and of requests without an answer."""

_CHAT = "/v1/chat/completions"
_SERVED_BY = "x-served-by"
_NO_ANSWER = 0


class NotLocal(ValueError):
    """The load generator asks servers on the loopback interface only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One finished request; `sent_at` is the time of `time.monotonic()`, status 0 is no answer."""

    sent_at: float
    seconds: float
    variant: str
    status: int


class Timeline:
    """All finished requests in compact arrays, in the order in which they finished."""

    def __init__(self) -> None:
        self.variants: list[str] = [GATEWAY]
        self.sent_at = array("d")
        self.seconds = array("f")
        self.variant = array("H")
        """Positions in `variants`."""
        self.status = array("H")
        self._positions = {GATEWAY: 0}

    def __len__(self) -> int:
        return len(self.sent_at)

    def add(self, sent_at: float, seconds: float, variant: str, status: int) -> None:
        position = self._positions.get(variant)
        if position is None:
            position = self._positions[variant] = len(self.variants)
            self.variants.append(variant)
        self.sent_at.append(sent_at)
        self.seconds.append(seconds)
        self.variant.append(position)
        self.status.append(status)

    def outcomes(self, start: int = 0) -> list[Outcome]:
        """The outcomes from position `start` on."""
        return [
            Outcome(
                sent_at=self.sent_at[i],
                seconds=self.seconds[i],
                variant=self.variants[self.variant[i]],
                status=self.status[i],
            )
            for i in range(start, len(self))
        ]

    def counts(self, start: int = 0) -> Counter[tuple[str, str]]:
        """How many answers by variant and class of status ("2xx", "5xx", "none")."""
        pairs = Counter(zip(self.variant[start:], self.status[start:], strict=True))
        counts: Counter[tuple[str, str]] = Counter()
        for (position, status), count in pairs.items():
            counts[self.variants[position], status_class(status)] += count
        return counts

    def quantile(self, share: float, variant: str | None = None) -> timedelta | None:
        """The latency that `share` of the answers stay below; None where there is no answer."""
        position = self._positions.get(variant) if variant is not None else None
        if variant is not None and position is None:
            return None
        latencies = sorted(
            seconds
            for seconds, index, status in zip(self.seconds, self.variant, self.status, strict=True)
            if status != _NO_ANSWER and (position is None or index == position)
        )
        if not latencies:
            return None
        return timedelta(seconds=latencies[min(len(latencies) - 1, int(share * len(latencies)))])


class Load:
    """Sends while its `async with` block runs; what is under way at the end is waited for.

    A request that is due while `concurrency` others are under way is not sent but counted as
    `skipped`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        rps: float,
        *,
        concurrency: int = 512,
        timeout: timedelta = timedelta(seconds=10),
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        predictive: bool = False,
    ) -> None:
        """Chats, or with `predictive` asks for predictions by KServe's V1. Raises NotLocal."""
        _require_loopback(url)
        self.timeline = Timeline()
        self.skipped = 0
        self._url = url.rstrip("/") + (f"/v1/models/{model}:predict" if predictive else _CHAT)
        self._pause = 1 / rps
        self._concurrency = concurrency
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())
        self._headers = {"content-type": "application/json", **(headers or {})}
        message = {"role": "user", "content": "Where does the tide go?"}
        chat = {"model": model, "messages": [message], "stream": stream}
        self._body = json.dumps({"instances": [[1.0, 2.0]]} if predictive else chat).encode()
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._concurrency),
            headers=self._headers,
            trust_env=False,
        )
        self._pacing = asyncio.create_task(self._pace(), name="load")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pacing.cancel()
        await asyncio.gather(self._pacing, return_exceptions=True)
        await asyncio.gather(*self._under_way)
        await self._session.close()

    def counts(self) -> Counter[tuple[str, str]]:
        """How many answers by variant and class of status."""
        return self.timeline.counts()

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        due = time.monotonic()
        while True:
            now = time.monotonic()
            while due <= now:
                due += self._pause
                if len(self._under_way) >= self._concurrency:
                    self.skipped += 1
                    continue
                task = loop.create_task(self._send())
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(due - now)

    async def _send(self) -> None:
        sent_at = time.monotonic()
        status, variant = _NO_ANSWER, GATEWAY
        try:
            async with self._session.post(self._url, data=self._body) as response:
                variant = response.headers.get(_SERVED_BY, GATEWAY)
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            status = _NO_ANSWER
        self.timeline.add(sent_at, time.monotonic() - sent_at, variant, status)


def status_class(status: int) -> str:
    return f"{status // 100}xx" if status != _NO_ANSWER else "none"


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    url = options.url or Layout.from_environment().gateway_url
    try:
        load = Load(url, options.model, options.rate, stream=options.stream)
    except NotLocal as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(_run(load, options.seconds))
    print(report(load))
    return 0


def report(load: Load) -> str:
    """A table of the answers by variant, for people."""
    counts = load.counts()
    lines = [f"{'variant':<40} {'2xx':>8} {'4xx':>6} {'5xx':>6} {'none':>6}   p50 ms   p99 ms"]
    for variant in sorted({name for name, _ in counts}):
        cells = [counts[variant, kind] for kind in ("2xx", "4xx", "5xx", "none")]
        times = [_milliseconds(load.timeline.quantile(share, variant)) for share in (0.5, 0.99)]
        lines.append(
            f"{variant:<40} {cells[0]:>8} {cells[1]:>6} {cells[2]:>6} {cells[3]:>6} "
            f"{times[0]:>8} {times[1]:>8}"
        )
    return "\n".join([*lines, *([f"{load.skipped} not sent in time"] if load.skipped else [])])


async def _run(load: Load, seconds: float) -> None:
    async with load:
        await asyncio.sleep(seconds)


def _milliseconds(latency: timedelta | None) -> str:
    return "-" if latency is None else f"{latency.total_seconds() * 1000:.1f}"


def _require_loopback(url: str) -> None:
    host = urlsplit(url).hostname or ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not is_local:
        raise NotLocal(f"{url} is not on this machine; load goes to the loopback interface only")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.load", description=__doc__)
    parser.add_argument("--url", help="the gateway; by default the sandbox's")
    parser.add_argument("--model", default="chat")
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--stream", action="store_true", help="ask for streamed answers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
