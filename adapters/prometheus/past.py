"""Asks Prometheus for the raw counters of the past: as a watch does, but as of then."""

from collections.abc import Sequence
from datetime import datetime

from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.counters import PrometheusCounters
from domain.evidence.counters import Reading
from domain.gates import Source
from domain.history_port import CounterHistory
from domain.traffic import Place, Route


class PrometheusPast(CounterHistory):
    """One instant query with a range selector, at the end of the range."""

    def __init__(self, store: PrometheusClient) -> None:
        self._store = store

    async def read(
        self,
        route: Route,
        source: Source,
        *,
        candidate: Sequence[Place],
        stable: Sequence[Place],
        since: datetime,
        until: datetime,
    ) -> Reading:
        counters = PrometheusCounters(self._store.as_of(until))
        arms = {"candidate": candidate, "stable": stable}
        return Reading(**await counters.read_arms(route, source, arms=arms, window=until - since))
