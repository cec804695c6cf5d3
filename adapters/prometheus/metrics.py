"""Measures variants in Prometheus: what they answered, how fast, how many tokens."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from adapters.prometheus import envoy, tokens
from adapters.prometheus.answers import RawSeries
from adapters.prometheus.client import PrometheusClient
from adapters.prometheus.counting import grown
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
WORKLOADS_AT_ONCE = 12
MILLISECONDS = 1000
_LATENCY, _FIRST_TOKEN = "latency", "first_token"

# What one moment says: by part, and by bound for the parts that are histograms.
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
        asked = (self._store.values(query, at) for query in queries.values())
        answers = await asyncio.gather(*asked)
        return _measurement(
            {
                part: {each.labels.get("le", ""): each.value for each in answer}
                for part, answer in zip(queries, answers, strict=True)
            }
        )

    async def chart(self, variant: MeasuredVariant, grid: Grid) -> tuple[Measurement, ...]:
        queries = self._queries(variant, grid.step)
        asked = (self._store.series(query, grid) for query in queries.values())
        answers = await asyncio.gather(*asked)
        # A long chart is a million samples, and other calls are waiting.
        return await asyncio.to_thread(_charted, dict(zip(queries, answers, strict=True)), grid)

    async def tokens(
        self, workloads: Sequence[str], *, at: datetime, window: timedelta
    ) -> Mapping[str, Tokens]:
        some = [
            workloads[start : start + WORKLOADS_AT_ONCE]
            for start in range(0, len(workloads), WORKLOADS_AT_ONCE)
        ]
        found = await asyncio.gather(*(self._usage(names, at, window) for names in some))
        return {name: tokens for usage in found for name, tokens in usage.items()}

    async def _usage(
        self, workloads: Sequence[str], at: datetime, window: timedelta
    ) -> Mapping[str, Tokens]:
        label = self._tokens.workload
        answers = await asyncio.gather(
            *(
                self._store.values(f"sum by ({label}) ({grown(selector, window)})", at)
                for selector in self._tokens.matching(workloads).values()
            )
        )
        into, out = (
            {each.labels.get(label, ""): counted(each.value) for each in answer}
            for answer in answers
        )
        return {name: Tokens(input=into.get(name), output=out.get(name)) for name in workloads}

    def _queries(self, variant: MeasuredVariant, window: timedelta) -> dict[str, str]:
        counters = self._tokens.matching((variant.workload,))
        histograms = {_FIRST_TOKEN: self._tokens.first_token_of(variant.workload)}
        if variant.route is not None and variant.slot is not None:
            cluster = envoy.cluster_name(variant.route, variant.slot)
            counters |= envoy.outcomes(cluster)
            histograms[_LATENCY] = envoy.times(cluster)
        return {
            **{part: f"sum({grown(one, window)})" for part, one in counters.items()},
            **{part: f"sum by (le) ({grown(one, window)})" for part, one in histograms.items()},
        }


def _charted(answers: Mapping[str, Sequence[RawSeries]], grid: Grid) -> tuple[Measurement, ...]:
    values: dict[int, Values] = {}
    for part, answer in answers.items():
        for series in answer:
            bound = series.labels.get("le", "")
            for at, value in series.samples:
                values.setdefault(round(at), {}).setdefault(part, {})[bound] = value
    moments = (round(moment.timestamp()) for moment in grid.moments())
    return tuple(_measurement(values.get(moment, {})) for moment in moments)


def _measurement(values: Values) -> Measurement:
    return Measurement(
        requests=_sum(values, envoy.ANSWERED, envoy.RETRIED),
        errors=_sum(values, envoy.FAILED, envoy.RETRIED_FAILURES),
        latency=_buckets(values.get(_LATENCY), MILLISECONDS),
        first_token=_buckets(values.get(_FIRST_TOKEN), 1),
        input_tokens=_sum(values, "input"),
        output_tokens=_sum(values, "output"),
    )


def _sum(values: Values, *names: str) -> float | None:
    known = [sum(values[name].values()) for name in names if values.get(name)]
    return sum(known) if known else None


def _buckets(by_bound: Mapping[str, float] | None, per_second: float) -> Histogram | None:
    if not by_bound:
        return None
    try:
        return summed((float(bound) / per_second, count) for bound, count in by_bound.items())
    except ValueError as error:
        raise Unreachable(f"the metrics store answered oddly: {error}") from error
