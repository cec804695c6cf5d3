"""The adapters on a whole platform: controllers that answer by themselves, traffic, counters."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from adapters.aigateway.router import AIGatewayRouter
from adapters.gatewayapi.router import HTTPRouteRouter
from adapters.gateways.manifests import Gateway
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import connect as connect_to_cluster
from adapters.prometheus.counters import connect
from domain.errors import NotYet
from domain.evidence.counters import SeriesRole
from domain.gates import Source
from domain.traffic import (
    NO_EXTRAS,
    Extras,
    HeaderMatch,
    HeaderRoute,
    Mirror,
    Place,
    PlaceKind,
)
from domain.workloads import Protocol, WorkloadPhase
from sandbox.controllers.both import Settings, run
from sandbox.kube.server import serving
from tests.cluster.builders import owner, route_in, slots, workload_in
from tests.metrics.servers import until


@pytest.fixture
async def cluster(envoy_server, prometheus_server, tmp_path):
    """A cluster of its own: controllers would take up what other tests have left in a shared one."""
    settings = Settings(
        kubeconfig=tmp_path / "kubeconfig",
        state_dir=tmp_path / "state",
        xds_dir=envoy_server.xds_dir,
        envoy_admin=envoy_server.admin_url,
        targets_dir=prometheus_server.targets_dir,
    )
    ended = asyncio.Event()
    async with serving() as kube:
        kube.write_kubeconfig(settings.kubeconfig)
        controllers = asyncio.create_task(run(settings, until=ended))
        async with connect_to_cluster(settings.kubeconfig) as client:
            yield client
        ended.set()
        await controllers


async def done(call, what):
    """Repeat a call until it no longer says NotYet."""

    async def attempt():
        try:
            await call()
        except NotYet:
            return False
        return True

    await until(attempt, what)


async def ready(runtime, workload):
    async def look():
        return (await runtime.status(workload)).phase is WorkloadPhase.READY

    await until(look, f"{workload.name} ready")


async def obeyed(router, route, wanted, extras=NO_EXTRAS):
    async def look():
        state = await router.observe(route)
        return state.obeyed and (state.slots, state.extras) == (wanted, extras)

    await until(look, f"{wanted} in force")


async def test_a_candidate_joins_serves_is_counted_and_leaves(
    cluster, envoy_server, prometheus_server
):
    namespace = "default"
    runtime = KServeRuntime(cluster)
    router = AIGatewayRouter(cluster, Gateway(name="tidegate", namespace=namespace))
    route = route_in(namespace)
    stable = workload_in(namespace, "chat-v1", uri="sim://chat?latency_ms=1")
    candidate = workload_in(namespace, "chat-v2", uri="sim://chat?latency_ms=1&error_rate=1")

    for one in (stable, candidate):
        await runtime.deploy(one)
        await ready(runtime, one)
        await done(lambda one=one: router.connect(route, one), f"{one.name} known")
    wanted = slots(chat_v1=50, chat_v2=50)
    for number, taken in enumerate((slots(chat_v1=100, chat_v2=0), wanted)):
        await router.write(route, taken, owner(number))
        await obeyed(router, route, taken)
    assert await router.drift(route, wanted) is None

    codes = await served(envoy_server.url, 40)
    await counted(prometheus_server.url, route, codes)

    await router.write(route, slots(chat_v1=100), owner(5))
    await done(lambda: router.disconnect(route, candidate), "the candidate forgotten")
    await done(lambda: runtime.remove(candidate), "the candidate gone")
    assert (await runtime.status(candidate)).phase is WorkloadPhase.MISSING
    assert set(await served(envoy_server.url, 10)) == {200}

    await done(lambda: router.remove(route, owner(6)), "the route gone")
    await done(lambda: router.disconnect(route, stable), "stable forgotten")
    await done(lambda: runtime.remove(stable), "stable gone")


async def served(url, number):
    async with httpx.AsyncClient(base_url=url) as client:
        body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
        answers = [await client.post("/v1/chat/completions", json=body) for _ in range(number)]
    return [answer.status_code for answer in answers]


def total(series, role):
    return sum(one.samples[-1][1] for one in series if one.role is role)


async def counted(url, route, codes):
    """Each arm is counted with the errors that clients have seen."""
    async with connect(url) as counters:

        async def look():
            reading = await counters.read(
                route,
                Source.ENVOY,
                candidate=Place(position=1),
                stable=Place(position=0),
                window=timedelta(minutes=1),
            )
            return (
                total(reading.stable, SeriesRole.REQUESTS) == codes.count(200)
                and total(reading.candidate, SeriesRole.REQUESTS) == codes.count(500)
                and total(reading.candidate, SeriesRole.ERRORS) == codes.count(500)
            )

        await until(look, f"{codes.count(200)} answers and {codes.count(500)} errors")


PREVIEW = HeaderRoute(
    name="preview", headers=(HeaderMatch(name="x-tester", value="yes"),), workload="iris-v2"
)
BESIDE = Extras(header_routes=(PREVIEW,), mirrors=(Mirror(workload="iris-v2", percent=100),))


async def test_a_predictive_candidate_is_shown_mirrored_counted_and_left_though_it_dies(
    cluster, envoy_server, prometheus_server
):
    namespace = "default"
    runtime = KServeRuntime(cluster)
    router = HTTPRouteRouter(cluster, Gateway(name="tidegate", namespace=namespace))
    route = route_in(namespace, name="iris", model="iris", protocol=Protocol.V1)
    stable, candidate = predictive("iris-v1", 1), predictive("iris-v2", 2)
    for one in (stable, candidate):
        await runtime.deploy(one)
        await ready(runtime, one)
        await done(lambda one=one: router.connect(route, one), f"{one.name} known")
    wanted = slots(iris_v1=100, iris_v2=0)
    await router.write(route, wanted, owner(1), extras=BESIDE)
    await obeyed(router, route, wanted, BESIDE)

    url = envoy_server.url
    assert [await predicted(url) for _ in range(7)] == [1.0] * 7
    assert [await predicted(url, **{"x-tester": "yes"}) for _ in range(3)] == [2.0] * 3
    await counted_at(prometheus_server.url, route, Place(position=0), 7)
    await counted_at(
        prometheus_server.url, route, Place(position=0, kind=PlaceKind.HEADER_ROUTE), 3
    )
    await counted_at(prometheus_server.url, route, Place(position=0, kind=PlaceKind.MIRROR), 7)

    await done(lambda: runtime.remove(candidate), "the candidate gone, by somebody's hand")
    await until(lambda: fails(url), "the mirror leads nowhere, which the gateway lets all feel")
    assert await router.drift(route, wanted, BESIDE) is None
    await router.write(route, wanted, owner(2), insist=True)
    await until(lambda: serves(url, 1.0), "stable serves again")

    await router.write(route, slots(iris_v1=100), owner(3))
    await obeyed(router, route, slots(iris_v1=100))
    await done(lambda: router.disconnect(route, candidate), "the candidate forgotten")
    await done(lambda: router.remove(route, owner(4)), "the route gone")
    await done(lambda: runtime.remove(stable), "stable gone")


def predictive(name, value):
    uri = f"sim://iris?latency_ms=1&value={value}"
    return workload_in("default", name, uri=uri, protocol=Protocol.V1, served_as="iris")


async def asked(url, **headers):
    async with httpx.AsyncClient(base_url=url) as client:
        return await client.post(
            "/v1/models/iris:predict", json={"instances": [[1.0]]}, headers=headers
        )


async def predicted(url, **headers):
    return (await asked(url, **headers)).json()["predictions"][0]


async def serves(url, value):
    answer = await asked(url)
    return answer.status_code == 200 and answer.json()["predictions"][0] == value


async def fails(url):
    return (await asked(url)).status_code == 500


async def counted_at(url, route, place, requests):
    """What a place of the route gets is counted there, and nothing else."""
    nowhere = Place(position=9)
    async with connect(url) as counters:

        async def look():
            reading = await counters.read(
                route, Source.ENVOY, candidate=place, stable=nowhere, window=timedelta(minutes=1)
            )
            assert reading.stable == ()
            return total(reading.candidate, SeriesRole.REQUESTS) == requests

        await until(look, f"{requests} requests at {place}")
