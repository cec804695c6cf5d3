"""Asks Prometheus for raw counters: of places of a route, and of workloads."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from adapters.prometheus import client, rewards
from adapters.prometheus.answers import RawSeries
from adapters.prometheus.client import CALL_TIMEOUT, CONCURRENT_READS, PrometheusClient
from adapters.prometheus.envoy import EnvoyCounters
from adapters.prometheus.gen_ai import GEN_AI
from adapters.prometheus.istio import ISTIO
from adapters.prometheus.knative import KNATIVE
from adapters.prometheus.kserve import KSERVE
from adapters.prometheus.labelled import LabelledCounters
from adapters.prometheus.sources import CounterQueries, Meaning
from adapters.prometheus.vllm import VLLM
from domain.errors import Unreachable
from domain.evidence.counters import Reading, Series
from domain.evidence_port import CounterSource
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place, Route
from domain.trial import RewardCounters

SOURCES: Mapping[Source, CounterQueries] = {Source.ENVOY: EnvoyCounters()}
# Of several dialects, which name a workload by different labels, a target speaks one.
BY_WORKLOAD: Mapping[Source, tuple[LabelledCounters, ...]] = {
    Source.GEN_AI: (GEN_AI,),
    Source.VLLM: (VLLM,),
    Source.KSERVE: (KSERVE,),
    Source.KNATIVE: KNATIVE,
    Source.ISTIO: (ISTIO,),
}


class PrometheusCounters(CounterSource):
    """One instant query a reading."""

    def __init__(self, store: PrometheusClient) -> None:
        self._store = store

    async def read(
        self, route: Route, source: Source, *, candidate: Place, stable: Place, window: timedelta
    ) -> Reading:
        """The samples of the last `window`, per place.

        Raises Unreachable when the store is down, slow or makes no sense, Refused when it calls
        the query wrong. No series is an empty Reading: nothing was counted yet.
        """
        arms = {"candidate": (candidate,), "stable": (stable,)}
        return Reading(**await self.read_arms(route, source, arms=arms, window=window))

    async def read_arms(
        self,
        route: Route,
        source: Source,
        *,
        arms: Mapping[str, Sequence[Place]],
        window: timedelta,
    ) -> dict[str, tuple[Series, ...]]:
        queries, places = SOURCES[source], [place for listed in arms.values() for place in listed]
        found = await self._store.samples(queries.query(route, places, window))
        by_place: dict[Place, list[Series]] = {place: [] for place in places}
        for raw in found:
            meaning = _meaning(raw, queries, route, places)
            if meaning is not None and raw.samples:
                by_place[meaning.place].append(_series(raw, meaning))
        return {
            arm: tuple(series for place in listed for series in by_place[place])
            for arm, listed in arms.items()
        }

    async def read_workloads(
        self, route: Route, meter: Meter, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        by_workload: dict[str, list[Series]] = {name: [] for name in workloads.values()}
        for dialect in BY_WORKLOAD[meter.source]:
            found = await self._labelled(dialect, meter, route, list(by_workload), window)
            for workload, series in found:
                by_workload[workload].append(series)
        return {arm: tuple(by_workload[workload]) for arm, workload in workloads.items()}

    async def _labelled(
        self,
        dialect: LabelledCounters,
        meter: Meter,
        route: Route,
        workloads: Sequence[str],
        window: timedelta,
    ) -> list[tuple[str, Series]]:
        found = await self._store.samples(dialect.query(meter.counts, route, workloads, window))
        further = dialect.query_of_targets(meter.counts, route, found, window)
        if further is not None:
            found = (*found, *await self._store.samples(further))
        try:
            return list(dialect.series(meter.counts, found, workloads))
        except ValueError as error:
            raise Unreachable(f"the metrics store answered oddly: {error}") from error

    async def read_rewards(
        self, counters: RewardCounters, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        asked = rewards.query(counters, workloads.values(), window)
        by_workload: dict[str, list[Series]] = {name: [] for name in workloads.values()}
        for raw in await self._store.samples(asked):
            found = rewards.meaning(raw.labels, counters)
            if found is not None and raw.samples and found[0] in by_workload:
                workload, role = found
                by_workload[workload].append(raw.counting(role))
        return {arm: tuple(by_workload[workload]) for arm, workload in workloads.items()}


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
    raw: RawSeries, queries: CounterQueries, route: Route, places: Sequence[Place]
) -> Meaning | None:
    try:
        return queries.meaning(raw.labels, route, places)
    except ValueError as error:
        raise Unreachable(
            f"the metrics store answered oddly: {error} in {dict(raw.labels)}"
        ) from error


def _series(raw: RawSeries, meaning: Meaning) -> Series:
    return raw.counting(meaning.role, bound_ms=meaning.bound_ms)
