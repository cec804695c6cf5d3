"""Asks Prometheus for the past: as a watch does, but as of then."""

from collections.abc import Sequence
from datetime import datetime

from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.counters import PrometheusCounters
from domain.evidence.counters import Reading
from domain.gates import Source
from domain.history_port import MetricsHistory
from domain.meters import Meter
from domain.traffic import Place, Route

# Prometheus writes it with each scrape of each target.
_ANYTHING = "count(up)"
CANDIDATE, STABLE = "candidate", "stable"


class PrometheusPast(MetricsHistory):
    """Instant queries, those for counters with a range selector, at the end of the range."""

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
        arms = {CANDIDATE: candidate, STABLE: stable}
        counters = self._as_of(until)
        return Reading(**await counters.read_arms(route, source, arms=arms, window=until - since))

    async def read_workloads(
        self,
        route: Route,
        meter: Meter,
        *,
        candidate: str | None,
        stable: str,
        since: datetime,
        until: datetime,
    ) -> Reading:
        workloads = (
            {STABLE: stable} if candidate is None else {CANDIDATE: candidate, STABLE: stable}
        )
        found = await self._as_of(until).read_workloads(
            route, meter, workloads=workloads, window=until - since
        )
        return Reading(candidate=found.get(CANDIDATE, ()), stable=found[STABLE])

    async def is_kept(self, at: datetime) -> bool:
        return bool(await self.answer(_ANYTHING, at))

    async def answer(self, query: str, at: datetime) -> tuple[float, ...]:
        return await self._store.as_of(at).answer(query)

    def _as_of(self, until: datetime) -> PrometheusCounters:
        return PrometheusCounters(self._store.as_of(until))
