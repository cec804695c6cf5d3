"""Asks Prometheus for the raw counters of two slots."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from adapters.prometheus import client
from adapters.prometheus.answers import RawSeries
from adapters.prometheus.client import CALL_TIMEOUT, CONCURRENT_READS, PrometheusClient
from adapters.prometheus.envoy import EnvoyCounters
from adapters.prometheus.sources import CounterQueries, Meaning
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series
from domain.gates import Source
from domain.ports import CounterSource
from domain.traffic import Route

SOURCES: Mapping[Source, CounterQueries] = {Source.ENVOY: EnvoyCounters()}


class PrometheusCounters(CounterSource):
    """One instant query a reading."""

    def __init__(self, store: PrometheusClient) -> None:
        self._store = store

    async def read(
        self, route: Route, source: Source, *, candidate: int, stable: int, window: timedelta
    ) -> Reading:
        """The samples of the last `window`, per slot.

        Raises Unreachable when the store is down, slow or makes no sense, Refused when it calls
        the query wrong. No series is an empty Reading: nothing was counted yet.
        """
        queries, slots = SOURCES[source], (candidate, stable)
        found = await self._store.samples(queries.query(route, slots, window))
        by_slot: dict[int, list[Series]] = {candidate: [], stable: []}
        for raw in found:
            meaning = _meaning(raw, queries, route, slots)
            if meaning is not None and raw.samples:
                by_slot[meaning.slot].append(_series(raw, meaning))
        return Reading(candidate=tuple(by_slot[candidate]), stable=tuple(by_slot[stable]))


@asynccontextmanager
async def connect(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: timedelta = CALL_TIMEOUT,
    concurrent_reads: int = CONCURRENT_READS,
) -> AsyncGenerator[PrometheusCounters]:
    """Build the source on a connection of its own; the store itself is not asked yet."""
    async with client.connect(
        url, headers=headers, timeout=timeout, concurrent_reads=concurrent_reads
    ) as store:
        yield PrometheusCounters(store)


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
