"""What every MetricsStore does: the one for Prometheus, and the fake that stands in for it."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.prometheus.client import connect
from adapters.prometheus.metrics import PrometheusMetrics
from domain.errors import Unreachable
from domain.metrics import (
    NOTHING,
    Grid,
    MeasuredVariant,
    Measurement,
    Tokens,
    TokenSource,
    figures,
    summed,
)
from sandbox.ports import free_port
from tests.cluster.builders import route_in
from tests.fakes.metrics import ScriptedMetrics
from tests.metrics.exporter import exporting
from tests.metrics.gateway import routed
from tests.metrics.servers import until

WINDOW = timedelta(minutes=1)
ROUTE = route_in("measured")
BUSY = MeasuredVariant(workload="busy-v1", route=ROUTE, slot=0)
IDLE = MeasuredVariant(workload="idle-v2", route=ROUTE, slot=1)
KINDS = {"prompt": 30, "generation": 7}


class Stage:
    """Slot 0 has answered 4 times, once with an error, and counted 30 tokens in and 7 out."""

    def __init__(self, store, unreachable):
        self.store = store
        self.unreachable = unreachable


@pytest.fixture(scope="module")
async def real(envoy_server, prometheus_server):
    async with (
        connect(prometheus_server.url) as client,
        connect(f"http://127.0.0.1:{free_port()}") as nobody,
        exporting(prometheus_server.targets_dir, "vllm-contract") as models,
        routed(envoy_server, ROUTE) as traffic,
    ):
        store = PrometheusMetrics(client, TokenSource.VLLM)
        models.write({f'vllm:{name}_tokens_total{{model_name="busy-v1"}}': 0 for name in KINDS})

        cluster = store.counted_as(ROUTE, 0)
        first = f'envoy_cluster_upstream_rq_total{{envoy_cluster_name="{cluster}"}}'

        async def scraped():
            series = [first, 'vllm:prompt_tokens_total{model_name="busy-v1"}']
            return all([await client.values(one, datetime.now(UTC)) for one in series])

        await until(scraped, "the first scrapes")
        await traffic.send(0, 3)
        await traffic.send(0, 1, x_behave="error")
        models.write(
            {f'vllm:{name}_tokens_total{{model_name="busy-v1"}}': n for name, n in KINDS.items()}
        )

        async def counted():
            told = figures(await store.measure(BUSY, at=datetime.now(UTC), window=WINDOW), WINDOW)
            # Envoy shows its histograms at the next flush only, its counters at once.
            is_timed = told.latency_p50_ms is not None
            return is_timed and (told.requests, told.errors, told.output_tokens) == (4, 1, 7)

        await until(counted, "four answers, their times and their tokens")
        yield Stage(store, PrometheusMetrics(nobody, TokenSource.VLLM))


def fake():
    store, unreachable = ScriptedMetrics(), ScriptedMetrics()
    store.measured[0] = Measurement(
        requests=4,
        errors=1,
        latency=summed([(0.1, 4), (float("inf"), 4)]),
        input_tokens=30,
        output_tokens=7,
    )
    store.used["busy-v1"] = Tokens(input=30, output=7)
    unreachable.outage(Unreachable())
    return Stage(store, unreachable)


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue("real") if request.param == "real" else fake()


def now():
    return datetime.now(UTC).replace(microsecond=0)


async def test_a_variant_is_measured_in_the_window(stage):
    found = await stage.store.measure(BUSY, at=datetime.now(UTC), window=WINDOW)
    told = figures(found, WINDOW)
    assert (told.requests, told.errors, told.error_rate) == (4, 1, 0.25)
    assert (told.input_tokens, told.output_tokens) == (30, 7)
    assert 0 < (told.latency_p50_ms or 0) <= (told.latency_p99_ms or 0) < 5000


async def test_a_variant_without_traffic_has_no_numbers(stage):
    found = await stage.store.measure(IDLE, at=datetime.now(UTC), window=WINDOW)
    assert figures(found, WINDOW) == figures(NOTHING, WINDOW)


async def test_a_chart_has_a_measurement_for_each_point(stage):
    async def charted():
        grid = Grid(end=now(), step=timedelta(seconds=10), points=6)
        points = await stage.store.chart(BUSY, grid)
        assert len(points) == 6
        return any(point.requests for point in points)

    # The last whole second may lie before the scrape that saw the requests.
    await until(charted, "a point with requests")


async def test_tokens_are_told_for_each_workload_that_was_asked_for(stage):
    found = await stage.store.tokens(["busy-v1", "never-v1"], at=datetime.now(UTC), window=WINDOW)
    assert found == {"busy-v1": Tokens(input=30, output=7), "never-v1": Tokens()}


async def test_the_gateway_s_name_of_a_slot_is_the_same_everywhere(stage):
    name = f"httproute/measured/{ROUTE.name}/rule/0/backend/1"
    assert stage.store.counted_as(ROUTE, 1) == name


async def test_a_store_that_is_down_is_unreachable(stage):
    grid = Grid(end=now(), step=WINDOW, points=1)
    for ask in (
        lambda store: store.measure(BUSY, at=now(), window=WINDOW),
        lambda store: store.chart(BUSY, grid),
        lambda store: store.tokens(["busy-v1"], at=now(), window=WINDOW),
    ):
        with pytest.raises(Unreachable):
            await ask(stage.unreachable)
