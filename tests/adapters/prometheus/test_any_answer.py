"""Every answer that a metrics store, a proxy or a stranger can give: counts, or an error of ours."""

import asyncio
import gzip
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.prometheus import client
from adapters.prometheus.counters import PrometheusCounters
from domain.errors import Forbidden, Refused, Unreachable
from domain.evidence.counters import advance
from domain.gates import Source
from domain.meters import Meter
from domain.metrics import Grid
from domain.traffic import Place
from tests.cluster.builders import route_in
from tests.metrics.servers import serving

ROUTE = route_in("any")
NOW = datetime(2026, 11, 28, tzinfo=UTC)
CLUSTER = f"httproute/{ROUTE.namespace}/{ROUTE.name}/rule/0/backend/"


def labels(slot, name="upstream_rq_completed", **more):
    return {
        "__name__": f"envoy_cluster_{name}",
        "envoy_cluster_name": f"{CLUSTER}{slot}",
        **more,
    }


def success(kind, result, **more):
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


def matrix(*series):
    return success("matrix", list(series))


class Store:
    """Answers `body` to every call, as `headers` and `status` say."""

    def __init__(self):
        self.status, self.body, self.headers = 200, b"", {}

    async def answer(self, request):
        await request.read()
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def say(self, document, status=200, **headers):
        self.status = status
        self.body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Asked:
    def __init__(self, store, connection):
        self.store, self.connection = store, connection
        self.counters = PrometheusCounters(connection)

    async def reading(self):
        return await self.counters.read(
            ROUTE,
            Source.ENVOY,
            candidate=Place(position=1),
            stable=Place(position=0),
            window=timedelta(seconds=10),
        )

    async def workloads(self):
        return await self.counters.read_workloads(
            ROUTE,
            Meter(source=Source.VLLM),
            workloads={"candidate": "v2", "stable": "v1"},
            window=timedelta(seconds=10),
        )


@asynccontextmanager
async def asking():
    store = Store()
    async with (
        serving(store.answer) as address,
        client.connect(f"http://{address}") as connection,
    ):
        yield Asked(store, connection)


@pytest.fixture
async def asked():
    async with asking() as it:
        yield it


ONE = {"metric": labels(1), "values": [[1, "5"], [2, "7"]]}
HISTOGRAM = {"count": "5", "sum": "2", "buckets": [[0, "0", "1", "5"]]}


@pytest.mark.parametrize(
    ("document", "samples"),
    [
        (matrix(), 0),
        (matrix(ONE), 2),
        (success("matrix", [ONE], infos=["by the way"]), 2),
        (success("matrix", [ONE], warnings=[]), 2),
        (success("matrix", [ONE], warnings=None), 2),
        (matrix({**ONE, "histograms": [[1, HISTOGRAM]]}), 2),
        (matrix({"metric": labels(1), "values": [[1, "NaN"], [2, "7"]]}), 1),
        (matrix({"metric": labels(1), "values": [[1, "+Inf"], [2, "-Inf"], [3, "7"]]}), 1),
        (matrix({"metric": labels(1), "values": [[1.781, "7e0"]]}), 1),
        (matrix({"metric": labels(1), "values": []}), 0),
    ],
)
async def test_what_the_api_gives_for_counters_is_read(asked, document, samples):
    asked.store.say(document)
    reading = await asked.reading()
    assert sum(len(series.samples) for series in reading.candidate) == samples
    assert reading.stable == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (success("vector", [{"metric": labels(1), "value": [1, "5"]}]), "no matrix"),
        (success("vector", [{"metric": labels(1), "histogram": [1, HISTOGRAM]}]), "no matrix"),
        (matrix({"metric": labels(1), "histograms": [[1, HISTOGRAM]]}), "no values"),
        (success("scalar", [1, "5"]), "no object"),
        (success("string", [1, "text"]), "no object"),
        (success("matrix", [ONE], warnings=["a part is away"]), "in part: a part is away"),
        (success("matrix", [ONE], warnings="all"), "warnings are no list"),
        (matrix(ONE, ONE), "comes twice"),
        (matrix({"metric": labels(1), "values": [[1, "5"], [1, "3"]]}), "two values at one time"),
        (matrix({"metric": labels(1), "values": [[1, "1e300"]]}), "too large for a counter"),
        (matrix({"metric": labels(1), "values": [[1e300, "1"]]}), "no time"),
        (matrix({"metric": labels(1), "values": [[-1, "1"]]}), "no time"),
        ({"status": "error", "error": "x", "data": {"result": []}}, "no success"),
        ({"status": "error", "errorType": "timeout", "error": "x"}, "no success"),
        ({"data": {"result": []}}, "no success"),
        ([], "no success"),
        (b"{", "answered oddly"),
        (json.dumps(matrix(ONE)).encode()[:-20], "answered oddly"),
        (b"<html>please log in</html>", "answered oddly"),
        (b"\x00\xff", "answered oddly"),
    ],
)
async def test_what_is_no_whole_answer_about_counters_is_unreachable(asked, document, said):
    asked.store.say(document)
    for ask in (asked.reading, asked.workloads):
        with pytest.raises(Unreachable, match=said):
            await ask()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', Refused),
        (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', Refused),
        (401, b"", Forbidden),
        (403, b"<html>", Forbidden),
        (404, b"404 page not found", Unreachable),
        (429, b"", Unreachable),
        (500, b'{"status":"error","errorType":"internal","error":"x"}', Unreachable),
        (502, b"<html>bad gateway</html>", Unreachable),
        (503, b'{"status":"error","errorType":"timeout","error":"query timed out"}', Unreachable),
        (503, b"\x00\xff\x00", Unreachable),
        (204, b"", Unreachable),
        (304, b"", Unreachable),
        (206, json.dumps(matrix(ONE)).encode(), Unreachable),
    ],
)
async def test_a_status_that_is_no_success_is_an_error_of_its_kind(asked, status, body, error):
    asked.store.say(body, status)
    with pytest.raises(error) as raised:
        await asked.reading()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "document",
    [success("scalar", [1, "5"]), success("vector", [{"metric": {}, "value": [1, "5"]}])],
)
async def test_a_reading_in_part_is_none(asked, document):
    asked.store.say(document)
    assert await asked.connection.answer("up") == (5.0,)
    asked.store.say({**document, "warnings": ["store-2 did not answer"]})
    with pytest.raises(Unreachable, match="in part: store-2 did not answer"):
        await asked.connection.answer("up")


async def test_values_in_part_are_none(asked):
    """Half of the tokens would make an answer look cheap."""
    document = success("vector", [{"metric": {}, "value": [1, "5"]}])
    asked.store.say(document)
    (value,) = await asked.connection.values("up", NOW)
    assert value.value == 5
    asked.store.say({**document, "warnings": ["store-2 did not answer"]})
    with pytest.raises(Unreachable, match="in part: store-2 did not answer"):
        await asked.connection.values("up", NOW)


async def test_a_compressed_answer_is_read_and_a_broken_one_is_unreachable(asked):
    whole = gzip.compress(json.dumps(matrix(ONE)).encode())
    asked.store.say(whole, Content_Encoding="gzip")
    assert len((await asked.reading()).candidate) == 1
    for broken in (whole[:-12], b"not gzip at all", b""):
        asked.store.say(broken, Content_Encoding="gzip")
        with pytest.raises(Unreachable):
            await asked.reading()


@pytest.mark.parametrize(
    "place", ["/somewhere-else", "http://127.0.0.1:1/", "gopher://x/", "http://[", "", "//"]
)
async def test_a_redirect_to_no_answer_is_unreachable(asked, place):
    asked.store.say(b"", 302, Location=place)
    with pytest.raises(Unreachable):
        await asked.reading()


async def test_a_redirect_to_the_store_is_followed():
    store = Store()
    store.say(matrix(ONE))

    async def elsewhere(request):
        if request.path.startswith("/moved"):
            return await store.answer(request)
        raise web.HTTPTemporaryRedirect(f"/moved{request.path_qs}")

    async with serving(elsewhere) as address, client.connect(f"http://{address}") as connection:
        assert len((await Asked(store, connection).reading()).candidate) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
async def test_a_connection_that_breaks_or_speaks_no_http_is_unreachable(said):
    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client.connect(f"http://127.0.0.1:{port}") as connection:
        with pytest.raises(Unreachable):
            await Asked(None, connection).reading()


any_text = st.text(max_size=8) | st.sampled_from(
    ["5", "NaN", "+Inf", "1e308", "-3", "le", "\ud800", "\x00", CLUSTER + "1", "0.3"]
)
any_number = st.integers() | st.floats() | st.sampled_from([1, 2, 3.5, 10**400])
any_json = st.recursive(
    st.none() | st.booleans() | any_number | any_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(any_text | st.sampled_from(["metric", "values"]), inner, max_size=3)
    ),
    max_leaves=12,
)
some_labels = st.builds(
    lambda slot, name, more: labels(slot, name, **more),
    st.sampled_from([0, 1]),
    st.sampled_from(["upstream_rq_completed", "upstream_rq_xx", "upstream_rq_time_bucket"]),
    st.dictionaries(
        st.sampled_from(["le", "envoy_response_code_class", "pod"]),
        st.sampled_from(["5", "0.5", "+Inf", "x", "-1"]),
        max_size=3,
    ),
)
some_samples = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["0", "3", "NaN", "2.5", "-1", "7"])).map(list),
    max_size=4,
)
some_series = st.fixed_dictionaries(
    {"metric": some_labels | any_json, "values": some_samples | any_json}
)
any_document = any_json | st.builds(
    success, st.just("matrix"), st.lists(some_series, max_size=4) | any_json
)
SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(document=any_document)
@SETTINGS
async def test_whatever_the_json_it_is_counted_or_an_error_of_ours(asked, document):
    asked.store.say(document)
    grid = Grid(end=NOW, step=timedelta(seconds=15), points=2)
    for ask in (
        asked.reading,
        asked.workloads,
        lambda: asked.connection.values("up", NOW),
        lambda: asked.connection.series("up", grid),
        lambda: asked.connection.answer("up"),
    ):
        said = await error_of(ask)
        assert said is None or said.isprintable()


async def error_of(ask):
    """What an error of ours says; None where there was an answer."""
    try:
        await ask()
    except (Unreachable, Refused) as error:
        return str(error)
    return None


@given(body=st.binary(max_size=60), status=st.sampled_from([200, 400, 500]))
@SETTINGS
async def test_whatever_the_bytes_it_is_counted_or_an_error_of_ours(asked, body, status):
    asked.store.say(body, status)
    with pytest.raises((Unreachable, Refused)) as raised:
        await asked.reading()
    assert str(raised.value).isprintable()


@given(documents=st.lists(any_document, min_size=1, max_size=3))
@SETTINGS
async def test_no_answer_makes_counts_that_it_does_not_hold(asked, documents):
    """Each sample may count once, from nothing; an answer said again counts nothing more."""
    cursor, counted, most = None, 0, 0.0
    twice = [document for document in documents for _ in range(2)]
    for sequence, document in enumerate(twice):
        asked.store.say(document)
        try:
            reading = await asked.reading()
        except Unreachable:
            continue
        read = (*reading.candidate, *reading.stable)
        interval, behind = advance(cursor, reading, sequence=sequence, step=0, weight=10)
        if cursor is not None and sequence % 2:
            assert interval is None, "the same answer holds no news"
        most += sum(max(0.0, value) for series in read for _, value in series.samples)
        cursor = behind
        if interval is not None:
            counted += interval.candidate.requests + interval.stable.requests
    assert counted <= most
