"""Names in selectors, on a real store: they mean themselves, whatever they look like."""

import json
from datetime import timedelta

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.prometheus.counters import connect
from adapters.prometheus.envoy import cluster_name
from adapters.prometheus.promql import duration
from domain.gates import Source
from domain.traffic import Place
from tests.cluster.builders import route_in
from tests.metrics.servers import serving, until

WINDOW = timedelta(minutes=1)
HOSTILE = [
    "plain",
    ".*",
    'quote"',
    'a"} or {__name__=~".+',
    "back\\slash",
    "new\nline",
    "tab\tbell\a",
    "a|b",
    "a",
    "b",
    "[a-z]+(x)?^$",
    "ünïcode 🎈",
    "$1 ${x} %s",
    "",
]


@pytest.fixture(scope="module")
async def counters(prometheus_server):
    async with connect(prometheus_server.url) as source:
        yield source


def escaped(value):
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def read(counters, name):
    route = route_in(name)
    return counters.read(
        route, Source.ENVOY, candidate=Place(position=1), stable=Place(position=0), window=WINDOW
    )


@pytest.fixture(scope="module")
async def published(counters, prometheus_server):
    """Every hostile name is that of a namespace whose slots have counted its number in the list."""

    async def page(request):
        lines = [
            f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="{cluster}"}} {number}'
            for number, name in enumerate(HOSTILE)
            for slot in (0, 1)
            for cluster in [escaped(cluster_name(route_in(name), slot))]
        ]
        return web.Response(text="\n".join(lines) + "\n")

    async with serving(page) as address:
        target = prometheus_server.targets_dir / "hostile.json"
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps([{"targets": [address]}]))
        partial.replace(target)

        async def arrived():
            return (await read(counters, "plain")).candidate

        await until(arrived, "the first scrape")
        yield
        target.unlink()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_selects_its_own_series_and_no_others(counters, published, name):
    reading = await read(counters, name)
    for (series,) in (reading.candidate, reading.stable):
        assert {value for _, value in series.samples} == {float(HOSTILE.index(name))}


@given(name=st.text(max_size=30))
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_name_makes_the_query_wrong(counters, name):
    await read(counters, name)


@pytest.mark.parametrize(
    ("span", "written"),
    [
        (timedelta(seconds=30), "30000ms"),
        (timedelta(milliseconds=1.4), "1ms"),
        (timedelta(0), "1ms"),
        (timedelta(days=7), "604800000ms"),
    ],
)
def test_a_window_is_written_in_milliseconds(span, written):
    assert duration(span) == written
