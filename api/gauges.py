"""How the registry stands, as gauges on the API's own page: weights, rollouts, verdicts.

Every replica tells the same, so whoever adds them up takes the maximum. A database that is away
leaves them out instead of telling what was.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.remembered import Remembered
from domain.errors import TidegateError
from domain.ports import MetricsStore, Survey
from domain.survey import Standing

KEPT_SECONDS = 5
# The process's own metrics come with the same scrape, and must not wait for the database.
PATIENCE_SECONDS = 0.7
RECENT = timedelta(days=1)
_VARIANT = (
    *("project", "namespace", "model", "variant", "role", "version", "workload"),
    "envoy_cluster_name",
)


class Gauges:
    """Scrapes that come often cost the database one look in KEPT_SECONDS."""

    def __init__(self, survey: Survey, store: MetricsStore) -> None:
        self._survey, self._store = survey, store
        self._kept: Remembered[bytes] = Remembered(KEPT_SECONDS)

    async def text(self) -> bytes:
        """In Prometheus' text format."""
        return await self._kept.get("standing", self._look)

    async def _look(self) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                standing = await self._survey.standing(datetime.now(UTC) - RECENT)
        except (TidegateError, TimeoutError):
            standing = None
        registry = CollectorRegistry()
        registry.register(_Page(standing, self._store))
        return generate_latest(registry)


class _Page(Collector):
    def __init__(self, standing: Standing | None, store: MetricsStore) -> None:
        self._standing, self._store = standing, store

    def collect(self) -> Iterator[Metric]:
        up = "Whether the registry's database answered the last look."
        yield GaugeMetricFamily("tidegate_registry_up", up, int(self._standing is not None))
        if self._standing is not None:
            yield self._weights(self._standing)
            yield _rollouts(self._standing)
            yield _verdicts(self._standing)

    def _weights(self, standing: Standing) -> Metric:
        told = "Percent of the traffic that a variant was last seen to get, by what counts it."
        family = GaugeMetricFamily("tidegate_variant_weight", told, labels=_VARIANT)
        for one in standing.variants:
            cluster = self._store.counted_as(one.route, one.slot)
            project, model = str(one.route.project_id), one.route.model
            place = (project, one.route.namespace, model, one.name, one.role, one.version)
            family.add_metric((*place, one.workload, cluster), one.weight)
        return family


def _rollouts(standing: Standing) -> Metric:
    told = "Rollouts that go on or began within a day, by phase."
    labels = ("project", "model", "strategy", "phase")
    family = GaugeMetricFamily("tidegate_rollouts", told, labels=labels)
    for one in standing.rollouts:
        family.add_metric((str(one.project_id), one.model, one.strategy, one.phase), one.count)
    return family


def _verdicts(standing: Standing) -> Metric:
    told = "1 for what each gate of a model's latest rollout said last."
    labels = ("project", "model", "gate", "status")
    family = GaugeMetricFamily("tidegate_gate_verdict", told, labels=labels)
    for one in standing.verdicts:
        family.add_metric((str(one.project_id), one.model, one.gate, one.status), 1)
    return family
