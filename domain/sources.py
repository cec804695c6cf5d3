"""What each source of counters gives, and at which bounds its histograms count.

The adapters hold the queries, this table what may be asked of them: rules for gates, and the pages
of the documentation, are made of it.
"""

from collections.abc import Mapping

from domain.gates import ENVOY_BOUNDS_MS, Metric, Source

Bounds = tuple[float, ...] | None
"""Milliseconds, for `tokens` tokens. None: the installation decides, and a verdict tells them."""

COUNTS_FAILURES: Bounds = ()

_GEN_AI: Mapping[Metric, Bounds] = {
    Metric.ERROR_RATE: COUNTS_FAILURES,
    Metric.LATENCY: tuple(10.0 * 2**i for i in range(14)),
    Metric.TIME_TO_FIRST_TOKEN: (
        *(1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500),
        *(10000, 15000, 20000, 30000, 45000, 60000),
    ),
    Metric.TIME_PER_OUTPUT_TOKEN: (
        *(10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500),
    ),
    Metric.TOKENS: tuple(4.0**i for i in range(14)),
}
_VLLM: Mapping[Metric, Bounds] = {
    Metric.ERROR_RATE: COUNTS_FAILURES,
    Metric.LATENCY: (
        *(300, 500, 800, 1000, 1500, 2000, 2500, 5000, 10000, 15000, 20000, 30000, 40000, 50000),
        *(60000, 120000, 240000, 480000, 960000, 1920000, 7680000),
    ),
    Metric.TIME_TO_FIRST_TOKEN: (
        *(1, 5, 10, 20, 40, 60, 80, 100, 250, 500, 750, 1000, 2500, 5000, 7500),
        *(10000, 20000, 40000, 80000, 160000, 640000, 2560000),
    ),
    Metric.TIME_PER_OUTPUT_TOKEN: (
        *(10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1000, 2500, 5000, 7500),
        *(10000, 20000, 40000, 80000),
    ),
    # Up to the longest context that the model takes, which a server knows and we do not.
    Metric.TOKENS: tuple(float(m * 10**i) for i in range(7) for m in (1, 2, 5)),
}
# Of both generations: OpenCensus' until 1.18, OpenTelemetry's since.
_KNATIVE_MS = (
    *(5, 10, 20, 25, 40, 50, 60, 75, 80, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700),
    *(750, 800, 900, 1000, 2000, 2500, 5000, 7500, 10000, 20000, 50000, 100000),
)
_KSERVE_MS = (5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)

GIVES: Mapping[Source, Mapping[Metric, Bounds]] = {
    Source.ENVOY: {Metric.ERROR_RATE: COUNTS_FAILURES, Metric.LATENCY: ENVOY_BOUNDS_MS},
    Source.GEN_AI: _GEN_AI,
    Source.VLLM: _VLLM,
    Source.KSERVE: {Metric.LATENCY: _KSERVE_MS},
    Source.KNATIVE: {Metric.ERROR_RATE: COUNTS_FAILURES, Metric.LATENCY: _KNATIVE_MS},
    Source.ISTIO: {Metric.ERROR_RATE: COUNTS_FAILURES, Metric.LATENCY: None},
}


def who_gives(metric: Metric) -> tuple[Source, ...]:
    """The sources that can be asked for a metric."""
    return tuple(source for source, given in GIVES.items() if metric in given)
