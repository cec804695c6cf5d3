"""Asks Prometheus for the raw counters of two slots."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from adapters.prometheus.answers import RawSeries, read_matrix, refusal
from adapters.prometheus.envoy import EnvoyCounters
from adapters.prometheus.sources import CounterQueries, Meaning
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series
from domain.gates import Source
from domain.ports import CounterSource
from domain.traffic import Route

CALL_TIMEOUT = timedelta(seconds=10)
CONCURRENT_READS = 8
SOURCES: Mapping[Source, CounterQueries] = {Source.ENVOY: EnvoyCounters()}


class PrometheusCounters(CounterSource):
    """One instant query a reading. Made by `connect`, which owns the threads that it asks from."""

    def __init__(
        self, client: PrometheusConnect, threads: ThreadPoolExecutor, timeout: timedelta
    ) -> None:
        self._client = client
        self._threads = threads
        self._timeout = timeout.total_seconds()

    async def read(
        self, route: Route, source: Source, *, candidate: int, stable: int, window: timedelta
    ) -> Reading:
        """The samples of the last `window`, per slot.

        Raises Unreachable when the store is down, slow or makes no sense, Refused when it calls
        the query wrong. No series is an empty Reading: nothing was counted yet.
        """
        queries, slots = SOURCES[source], (candidate, stable)
        found = await self._ask(queries.query(route, slots, window))
        by_slot: dict[int, list[Series]] = {candidate: [], stable: []}
        for raw in found:
            meaning = _meaning(raw, queries, route, slots)
            if meaning is not None and raw.samples:
                by_slot[meaning.slot].append(_series(raw, meaning))
        return Reading(candidate=tuple(by_slot[candidate]), stable=tuple(by_slot[stable]))

    async def _ask(self, query: str) -> tuple[RawSeries, ...]:
        # The library's own timeout is between two bytes; this one is for the whole answer.
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await loop.run_in_executor(self._threads, self._ask_blocking, query)
        except TimeoutError as error:
            raise Unreachable(
                f"the metrics store did not answer within {self._timeout:g} s"
            ) from error

    def _ask_blocking(self, query: str) -> tuple[RawSeries, ...]:
        try:
            result = self._client.custom_query(query, params={"timeout": f"{self._timeout:g}s"})
        except (OSError, HTTPError) as error:
            raise Unreachable(f"the metrics store cannot be reached: {error}") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Unreachable(f"the metrics store answered oddly: {error!r}") from error
        return read_matrix(result)


@asynccontextmanager
async def connect(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: timedelta = CALL_TIMEOUT,
    concurrent_reads: int = CONCURRENT_READS,
) -> AsyncGenerator[PrometheusCounters]:
    """Build the client; the store itself is not asked yet. Leaving does not wait for its answers.

    The library would retry for seconds on its own and so hide that the store is down; whether to
    ask again is decided by the caller.
    """
    with requests.Session() as session:
        session.hooks["response"].append(_require_success)
        client = PrometheusConnect(
            url=url.rstrip("/"),
            headers=dict(headers or {}),
            retry=Retry(total=0, read=False),
            session=session,
            timeout=timeout.total_seconds(),
        )
        threads = ThreadPoolExecutor(concurrent_reads, thread_name_prefix="prometheus")
        try:
            yield PrometheusCounters(client, threads, timeout)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _require_success(response: requests.Response, **_: Any) -> None:
    # The library would fold code and body into one string.
    if response.status_code != requests.codes.ok and not response.is_redirect:
        raise refusal(response.status_code, response.content)


def _meaning(
    raw: RawSeries, queries: CounterQueries, route: Route, slots: tuple[int, int]
) -> Meaning | None:
    try:
        return queries.meaning(raw.labels, route, slots)
    except ValueError as error:
        raise Unreachable(
            f"the metrics store answered oddly: {error} in {dict(raw.labels)}"
        ) from error


def _series(raw: RawSeries, meaning: Meaning) -> Series:
    return Series(key=raw.key, role=meaning.role, bound_ms=meaning.bound_ms, samples=raw.samples)
