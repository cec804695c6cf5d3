"""Sources that count by workload: what a real store holds of them, and what it means."""

import math
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.prometheus.counters import BY_WORKLOAD, SOURCES, connect
from domain.evidence.counters import SeriesRole
from domain.gates import Metric, Source
from domain.meters import REQUESTS, Meter
from domain.sources import GIVES
from sandbox.model_server import metrics
from tests.adapters.prometheus.test_promql import HOSTILE, escaped
from tests.cluster.builders import route_in
from tests.metrics.exporter import exporting
from tests.metrics.servers import until

WINDOW = timedelta(minutes=1)
# No other test of the same store asks for it.
MODEL = "sourced"
ROUTE = route_in("sources", model=MODEL)
TYPE = "gen_ai_token_type"


def gen_ai(name, model, **labels):
    written = ",".join(f'{key}="{value}"' for key, value in labels.items())
    of = f'gen_ai_request_model="{model}",gen_ai_original_model="{MODEL}"'
    return f"gen_ai_{name}{{{of}{',' + written if written else ''}}}"


def page_of_gen_ai():
    duration = "server_request_duration_seconds"
    return {
        gen_ai(f"{duration}_count", "chat-v1"): 90,
        gen_ai(f"{duration}_count", "chat-v2"): 8,
        gen_ai(f"{duration}_count", "chat-v2", error_type="_OTHER"): 2,
        gen_ai(f"{duration}_bucket", "chat-v2", le="0.32"): 7,
        gen_ai(f"{duration}_bucket", "chat-v2", le="+Inf"): 8,
        gen_ai(f"{duration}_bucket", "chat-v2", error_type="_OTHER", le="0.32"): 2,
        gen_ai(f"{duration}_bucket", "chat-v2", error_type="_OTHER", le="+Inf"): 2,
        # Another route that sends the same name on.
        f'gen_ai_{duration}_count{{gen_ai_request_model="chat-v2",gen_ai_original_model="x"}}': 99,
        gen_ai("server_time_to_first_token_seconds_bucket", "chat-v2", le="0.06"): 3,
        gen_ai("server_time_to_first_token_seconds_bucket", "chat-v2", le="+Inf"): 5,
        gen_ai("server_time_per_output_token_seconds_bucket", "chat-v2", le="0.025"): 4,
        gen_ai("client_token_usage_bucket", "chat-v2", le="256", **{TYPE: "output"}): 6,
        gen_ai("client_token_usage_bucket", "chat-v2", le="256", **{TYPE: "input"}): 99,
    }


def page_of_vllm():
    ours = 'model_name="chat-v2",engine="0",namespace="vllm"'
    theirs = 'model_name="chat-v2",engine="0",namespace="elsewhere"'
    return {
        f'vllm:e2e_request_latency_seconds_bucket{{{ours},le="0.3"}}': 5,
        f'vllm:e2e_request_latency_seconds_bucket{{{ours},le="+Inf"}}': 7,
        f'vllm:e2e_request_latency_seconds_bucket{{{theirs},le="0.3"}}': 99,
        f'vllm:time_to_first_token_seconds_bucket{{{ours},le="0.06"}}': 3,
        f'vllm:inter_token_latency_seconds_bucket{{{ours},le="0.025"}}': 4,
        f'vllm:time_per_output_token_seconds_bucket{{{ours},le="0.025"}}': 4,
        f'vllm:request_generation_tokens_bucket{{{ours},le="20"}}': 6,
        **{
            f'http_requests_total{{{of},namespace="vllm"}}': count
            for of, count in (
                ('handler="/v1/chat/completions",method="POST",status="2xx"', 8),
                ('handler="/v1/chat/completions",method="POST",status="4xx"', 1),
                ('handler="/v1/completions",method="POST",status="503"', 2),
                ('handler="/v1/models",method="GET",status="5xx"', 99),
            )
        },
    }


def page_of_kserve():
    return {
        'request_predict_seconds_bucket{model_name="chat-v2",namespace="kserve",le="0.25"}': 5,
        'request_predict_seconds_bucket{model_name="chat-v2",namespace="kserve",le="+Inf"}': 7,
        'request_preprocess_seconds_bucket{model_name="chat-v2",le="0.25"}': 99,
    }


def page_of_old_knative():
    of = 'service_name="chat-v2-predictor",namespace_name="old-knative"'
    return {
        f'revision_request_count{{{of},response_code="200",response_code_class="2xx"}}': 8,
        f'revision_request_count{{{of},response_code="502",response_code_class="5xx"}}': 2,
        f'revision_request_latencies_bucket{{{of},response_code="200",le="250"}}': 5,
        f'revision_request_latencies_bucket{{{of},response_code="200",le="+Inf"}}': 8,
    }


def page_of_new_knative():
    of = 'kn_service_name="chat-v2-predictor",k8s_namespace_name="new-knative"'
    page: dict[str, int] = {}
    for name, times in (
        ("kn_serving_invocation_duration_seconds", 1),
        ("http_server_request_duration_seconds", 1),
    ):
        ok, bad = (f'{of},http_response_status_code="{code}"' for code in (200, 500))
        page |= {
            f"{name}_count{{{ok}}}": 8 * times,
            f"{name}_count{{{bad}}}": 2 * times,
            f'{name}_bucket{{{ok},le="0.25"}}': 5 * times,
            f'{name}_bucket{{{ok},le="+Inf"}}': 8 * times,
        }
    return page


def page_of_istio():
    def of(reporter, code):
        return (
            f'reporter="{reporter}",destination_workload="chat-v2-predictor",'
            f'destination_workload_namespace="istio",response_code="{code}"'
        )

    return {
        f"istio_requests_total{{{of('destination', 200)}}}": 8,
        f"istio_requests_total{{{of('destination', 503)}}}": 2,
        f"istio_requests_total{{{of('source', 503)}}}": 99,
        f'istio_request_duration_milliseconds_bucket{{{of("destination", 200)},le="250"}}': 5,
        f'istio_request_duration_milliseconds_bucket{{{of("destination", 200)},le="+Inf"}}': 8,
    }


@pytest.fixture(scope="module")
async def published(prometheus_server):
    """Each page as a target of its own, of one namespace each where the source tells it."""
    async with AsyncExitStack() as stack:
        for page, series in PAGES.items():
            exporter = await stack.enter_async_context(
                exporting(prometheus_server.targets_dir, f"source-{page}")
            )
            exporter.write(series)
        yield


@pytest.fixture(scope="module")
async def counters(prometheus_server):
    async with connect(prometheus_server.url) as source:
        yield source


async def look(counters, source, counts=REQUESTS, workload="chat-v2", route=ROUTE):
    meter = Meter(source=source, counts=counts)
    found = await counters.read_workloads(
        route, meter, workloads={"candidate": workload}, window=WINDOW
    )
    return found["candidate"]


def counted(series):
    """Sums by role, and by bound for buckets."""
    sums: dict[object, float] = {}
    for one in series:
        what = one.role if one.bound_ms is None else one.bound_ms
        sums[what] = sums.get(what, 0) + one.samples[-1][1]
    return sums


PAGES = {
    "gen_ai": page_of_gen_ai(),
    "vllm": page_of_vllm(),
    "kserve": page_of_kserve(),
    "old-knative": page_of_old_knative(),
    "new-knative": page_of_new_knative(),
    "istio": page_of_istio(),
}
ANSWERED, FAILED = SeriesRole.REQUESTS, SeriesRole.ERRORS


@pytest.mark.parametrize(
    ("page", "meter", "expected"),
    [
        ("gen_ai", (Source.GEN_AI, REQUESTS), {ANSWERED: 10, FAILED: 2, 320.0: 9, math.inf: 10}),
        ("gen_ai", (Source.GEN_AI, "time_to_first_token"), {60.0: 3, math.inf: 5}),
        ("gen_ai", (Source.GEN_AI, "time_per_output_token"), {25.0: 4}),
        ("gen_ai", (Source.GEN_AI, "tokens"), {256.0: 6}),
        ("vllm", (Source.VLLM, REQUESTS), {ANSWERED: 11, FAILED: 2, 300.0: 5, math.inf: 7}),
        ("vllm", (Source.VLLM, "time_to_first_token"), {60.0: 3}),
        ("vllm", (Source.VLLM, "time_per_output_token"), {25.0: 4}),
        ("vllm", (Source.VLLM, "tokens"), {20.0: 6}),
        ("kserve", (Source.KSERVE, REQUESTS), {250.0: 5, math.inf: 7}),
        (
            "old-knative",
            (Source.KNATIVE, REQUESTS),
            {ANSWERED: 10, FAILED: 2, 250.0: 5, math.inf: 8},
        ),
        (
            "new-knative",
            (Source.KNATIVE, REQUESTS),
            {ANSWERED: 10, FAILED: 2, 250.0: 5, math.inf: 8},
        ),
        ("istio", (Source.ISTIO, REQUESTS), {ANSWERED: 10, FAILED: 2, 250.0: 5, math.inf: 8}),
    ],
)
async def test_a_source_is_read_as_it_counts(counters, published, page, meter, expected):
    source, counts = meter
    route = route_in(page, model=MODEL)

    async def arrived():
        found = counted(await look(counters, source, counts, route=route))
        return found if found == expected else None

    await until(arrived, f"the counts of {page}")
    assert await look(counters, source, counts, workload="chat-v", route=route) == ()
    assert await look(counters, source, counts, workload="chat-v.", route=route) == ()


async def test_failures_of_a_server_with_several_models_are_nobodys(counters, prometheus_server):
    route = route_in("shared")
    of = f'namespace="{route.namespace}"'
    async with exporting(prometheus_server.targets_dir, "shared-server") as exporter:
        exporter.write(
            {
                f'vllm:e2e_request_latency_seconds_bucket{{model_name="one",{of},le="+Inf"}}': 3,
                f'vllm:e2e_request_latency_seconds_bucket{{model_name="two",{of},le="+Inf"}}': 4,
                f'http_requests_total{{method="POST",status="5xx",{of}}}': 9,
            }
        )
        meter = Meter(source=Source.VLLM)

        async def arrived():
            found = await counters.read_workloads(
                route, meter, workloads={"candidate": "one", "stable": "two"}, window=WINDOW
            )
            return found if all(found.values()) else None

        found = await until(arrived, "both models")
        assert {arm: counted(series) for arm, series in found.items()} == {
            "candidate": {math.inf: 3},
            "stable": {math.inf: 4},
        }


@pytest.mark.parametrize("source", [one for one in Source if one is not Source.ENVOY])
@given(
    workload=st.text(max_size=30) | st.sampled_from(HOSTILE),
    name=st.text(max_size=30) | st.sampled_from(HOSTILE),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_name_makes_a_query_wrong_or_asks_for_what_is_not_its_own(
    counters, source, workload, name
):
    for counts in BY_WORKLOAD[source][0].counts:
        assert await look(counters, source, counts, workload, route_in(name)) == ()


async def test_a_workload_is_who_has_its_name_whatever_it_looks_like(counters, prometheus_server):
    named = [name for name in HOSTILE if name]
    async with exporting(prometheus_server.targets_dir, "hostile-workloads") as exporter:
        exporter.write(
            {
                f'request_predict_seconds_bucket{{model_name="{escaped(name)}",le="0.25"}}': number
                for number, name in enumerate(named)
            }
        )

        async def arrived():
            return await look(counters, Source.KSERVE, workload="plain")

        await until(arrived, "the page")
        for number, name in enumerate(named):
            found = counted(await look(counters, Source.KSERVE, workload=name))
            assert found == {250.0: number}, name


def test_the_adapters_give_what_the_table_says():
    assert set(SOURCES) | set(BY_WORKLOAD) == set(GIVES) == set(Source)
    for source, dialects in BY_WORKLOAD.items():
        for dialect in dialects:
            given_ = {metric for counts in dialect.counts for metric in _metrics(dialect, counts)}
            assert given_ == set(GIVES[source]), source


def _metrics(dialect, counts):
    if counts != REQUESTS:
        return {Metric(counts)}
    families = [family for generation in dialect.counts[counts] for family in generation]
    found = {Metric.LATENCY} if any(f.role is SeriesRole.BUCKET for f in families) else set()
    return found | ({Metric.ERROR_RATE} if any(f.error_label for f in families) else set())


def test_the_bounds_of_vllm_are_those_of_its_simulation():
    in_table = GIVES[Source.VLLM]
    for metric, bounds in (
        (Metric.LATENCY, metrics.E2E_BOUNDS),
        (Metric.TIME_TO_FIRST_TOKEN, metrics.FIRST_TOKEN_BOUNDS),
        (Metric.TIME_PER_OUTPUT_TOKEN, metrics.INTER_TOKEN_BOUNDS),
    ):
        assert in_table[metric] == tuple(round(1000 * bound, 6) for bound in bounds)
    assert set(metrics.GENERATED_BOUNDS) <= set(in_table[Metric.TOKENS] or ())
