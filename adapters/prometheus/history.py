"""Asks Prometheus for what stable did before a rollout's evidence begins."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from adapters.prometheus.answers import RawSeries
from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.counters import PrometheusCounters
from adapters.prometheus.envoy_pods import EnvoyPods
from domain.evidence.baseline import History, PodCounters
from domain.evidence.counters import SeriesRole
from domain.gates import Source
from domain.traffic import Place, Route


class PodQueries(Protocol):
    """What a source knows of single pods."""

    def query(self, route: Route, place: Place, window: timedelta) -> str:
        """Write one instant query with a range selector."""

    def pods(self, found: Sequence[RawSeries]) -> tuple[PodCounters, ...]:
        """Sort what was found by pod."""


PODS: Mapping[Source, PodQueries] = {Source.ENVOY: EnvoyPods()}
STABLE = "stable"


class PrometheusHistory:
    """Implements `domain.evidence_port.StableHistory`: raw samples, two queries."""

    def __init__(self, store: PrometheusClient) -> None:
        self._store, self._counters = store, PrometheusCounters(store)

    async def read(
        self, route: Route, source: Source, *, stable: Place, window: timedelta
    ) -> History:
        """The samples of the last `window`. A source that knows no pods gives none."""
        arms = await self._counters.read_arms(
            route, source, arms={STABLE: (stable,)}, window=window
        )
        timed = (one for one in arms[STABLE] if one.role is SeriesRole.BUCKET)
        queries = PODS.get(source)
        if queries is None:
            return History(series=tuple(timed))
        found = await self._store.samples(queries.query(route, stable, window))
        return History(pods=queries.pods(found), series=tuple(timed))
