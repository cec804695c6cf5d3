"""Measures variants in Prometheus: what they answered, how fast, how many tokens."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from adapters.prometheus import envoy, tokens
from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.counting import PART, grown, parts
from domain.errors import Unreachable
from domain.metrics import (
    Grid,
    Histogram,
    MeasuredVariant,
    Measurement,
    Tokens,
    TokenSource,
    counted,
    summed,
)
from domain.ports import MetricsStore
from domain.traffic import Route

# A query travels in a URL, and proxies take about 8 kB.
WORKLOADS_AT_ONCE = 40
MILLISECONDS = 1000
_ENVOY, _FIRST_TOKEN = "latency", "first_token"

# What one moment says: numbers by part, and by bound for the parts that are histograms.
Values = dict[str, dict[str, float]]


class PrometheusMetrics(MetricsStore):
    """A few small queries a variant, asked side by side."""

    def __init__(self, store: PrometheusClient, source: TokenSource) -> None:
        self._store = store
        self._tokens = tokens.SOURCES[source]

    def counted_as(self, route: Route, slot: int) -> str:
        return envoy.cluster_name(route, slot)

    async def measure(
        self, variant: MeasuredVariant, *, at: datetime, window: timedelta
    ) -> Measurement:
        queries = self._queries(variant, window)
        answers = await asyncio.gather(*(self._store.values(query, at) for query in queries))
        values: Values = {}
        for answer in answers:
            for each in answer:
                _put(values, each.labels, each.value)
        return _measurement(values)

    async def chart(self, variant: MeasuredVariant, grid: Grid) -> tuple[Measurement, ...]:
        queries = self._queries(variant, grid.step)
        answers = await asyncio.gather(*(self._store.series(query, grid) for query in queries))
        values: dict[int, Values] = {}
        for answer in answers:
            for series in answer:
                for at, value in series.samples:
                    _put(values.setdefault(round(at), {}), series.labels, value)
        moments = (round(moment.timestamp()) for moment in grid.moments())
        return tuple(_measurement(values.get(moment, {})) for moment in moments)

    async def tokens(
        self, workloads: Sequence[str], *, at: datetime, window: timedelta
    ) -> Mapping[str, Tokens]:
        some = (
            workloads[start : start + WORKLOADS_AT_ONCE]
            for start in range(0, len(workloads), WORKLOADS_AT_ONCE)
        )
        queries = (self._usage(names, window) for names in some)
        answers = await asyncio.gather(*(self._store.values(query, at) for query in queries))
        found: dict[str, dict[str, int | None]] = {name: {} for name in workloads}
        for each in (value for answer in answers for value in answer):
            of_workload = found.get(each.labels.get(self._tokens.workload, ""))
            if of_workload is not None:
                of_workload[each.labels.get(PART, "")] = counted(each.value)
        return {
            name: Tokens(input=known.get("input"), output=known.get("output"))
            for name, known in found.items()
        }

    def _queries(self, variant: MeasuredVariant, window: timedelta) -> Iterable[str]:
        if variant.route is not None and variant.slot is not None:
            cluster = envoy.cluster_name(variant.route, variant.slot)
            outcomes = envoy.outcomes(cluster)
            yield parts({name: f"sum({grown(one, window)})" for name, one in outcomes.items()})
            yield _histogram(_ENVOY, envoy.times(cluster), window)
        yield _histogram(_FIRST_TOKEN, self._tokens.first_token_of(variant.workload), window)
        usage = self._tokens.matching((variant.workload,))
        yield parts({name: f"sum({grown(one, window)})" for name, one in usage.items()})

    def _usage(self, workloads: Sequence[str], window: timedelta) -> str:
        by = self._tokens.workload
        usage = self._tokens.matching(workloads)
        return parts({name: f"sum by ({by}) ({grown(one, window)})" for name, one in usage.items()})


def _histogram(part: str, selector: str, window: timedelta) -> str:
    return parts({part: f"sum by (le) ({grown(selector, window)})"})


def _put(values: Values, labels: Mapping[str, str], value: float) -> None:
    values.setdefault(labels.get(PART, ""), {})[labels.get("le", "")] = value


def _measurement(values: Values) -> Measurement:
    return Measurement(
        requests=_sum(values, envoy.ANSWERED, envoy.RETRIED),
        errors=_sum(values, envoy.FAILED, envoy.RETRIED_FAILURES),
        latency=_buckets(values.get(_ENVOY), MILLISECONDS),
        first_token=_buckets(values.get(_FIRST_TOKEN), 1),
        input_tokens=_sum(values, "input"),
        output_tokens=_sum(values, "output"),
    )


def _sum(values: Values, *names: str) -> float | None:
    known = [sum(values[name].values()) for name in names if name in values]
    return sum(known) if known else None


def _buckets(by_bound: Mapping[str, float] | None, per_second: float) -> Histogram | None:
    if not by_bound:
        return None
    try:
        return summed((float(bound) / per_second, count) for bound, count in by_bound.items())
    except ValueError as error:
        raise Unreachable(f"the metrics store answered oddly: {error}") from error
