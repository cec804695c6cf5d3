"""Plain HTTPRoutes as Envoy obeys them: predictive models, header routes, copies of requests."""

import math

import pytest

from adapters.gatewayapi.manifests import http_route
from adapters.gateways.manifests import Gateway, split_policy
from domain.traffic import Extras, HeaderMatch, HeaderRoute, Mirror, Slot
from domain.workloads import Protocol
from sandbox.controllers.resources import HTTP_ROUTES, TRAFFIC_POLICIES
from sandbox.load import Load
from tests.cluster.builders import route_in
from tests.sandbox.controllers.world import eventually, is_taken

ROUTE = "iris"
PREVIEW = HeaderRoute(
    name="preview", headers=(HeaderMatch(name="x-tester", value="yes"),), workload="v2"
)


class Iris:
    """Two ready versions that predict different numbers, and the route to them.

    All tests share a gateway, so that each asks for a model that is named as its namespace.
    """

    def __init__(self, world, protocol):
        self.world = world
        self.model = world.namespace
        self.route = route_in(world.namespace, name=ROUTE, model=self.model, protocol=protocol)

    async def write(self, v1, v2, extras=None):
        await self.order(v1, v2, extras)

        async def in_force():
            return is_taken(await self.world.http_route(ROUTE))

        await eventually(in_force, "the route in force")

    async def order(self, v1, v2, extras=None):
        slots = (Slot(workload="v1", weight=v1), Slot(workload="v2", weight=v2))
        wanted = http_route(
            self.route,
            slots,
            extras or Extras(),
            Gateway(name="tidegate", namespace="gateways"),
            ports=dict.fromkeys(("v1", "v2", "nobody"), 80),
            annotations={},
        )
        live = await self.world.http_route(ROUTE)
        if live is None:
            await self.world.cluster.create(HTTP_ROUTES, wanted)
        else:
            await self.world.cluster.replace(HTTP_ROUTES, {**live, "spec": wanted["spec"]})

    async def ask(self, **headers):
        """The number that is predicted."""
        status, document = await self.answer(**headers)
        assert status == 200, document
        outputs = document.get("outputs") or [{"data": document.get("predictions")}]
        return outputs[0]["data"][0]

    async def answer(self, **headers):
        url = self.world.envoy.url
        given: object = [1.0]
        if self.route.protocol is Protocol.V1:
            path, name = f"/v1/models/{self.model}:predict", "instances"
        else:
            path, name = f"/v2/models/{self.model}/infer", "inputs"
            given = {"name": "x", "datatype": "FP64", "shape": [1], "data": [1.0]}
        async with self.world.http.post(
            url + path, json={name: [given]}, headers=headers
        ) as answer:
            return answer.status, await answer.json() if answer.status == 200 else {}


@pytest.fixture(params=[Protocol.V1, Protocol.V2])
async def iris(world, request):
    for name, value in (("v1", 1), ("v2", 2)):
        await world.deploy(
            name, f"sim://iris?latency_ms=1&value={value}", served_as=world.namespace
        )
    await world.ready("v1", "v2")
    made = Iris(world, request.param)
    await world.cluster.create(TRAFFIC_POLICIES, split_policy(made.route))
    return made


async def test_predictions_come_from_whom_the_weights_say(iris):
    await iris.write(100, 0)
    assert await iris.ask() == 1.0
    await iris.write(0, 100)
    assert await iris.ask() == 2.0


async def test_another_model_of_a_similar_name_is_not_caught(iris):
    await iris.write(100, 0)
    for path in (f"/v1/models/{iris.model}-2:predict", f"/v2/models/{iris.model}-2/infer"):
        async with iris.world.http.post(iris.world.envoy.url + path, json={}) as answer:
            assert answer.status == 404


async def test_what_an_older_ai_route_does_not_know_is_not_taken_from_a_plain_one(iris):
    await iris.world.connect("v1")
    await iris.world.add_route("chat", iris.model, {"v1": 100})
    await iris.world.in_force("chat")
    await iris.write(100, 0)
    assert await iris.ask() == 1.0
    assert (await iris.world.ask(iris.model))[0] == 200


async def test_a_header_shows_the_preview_to_those_who_send_it(iris):
    await iris.write(100, 0, Extras(header_routes=(PREVIEW,)))
    assert [await iris.ask() for _ in range(5)] == [1.0] * 5
    assert [await iris.ask(x_tester="no"), await iris.ask(**{"x-tester": "yes"})] == [1.0, 2.0]
    counted = f"cluster.httproute/{iris.world.namespace}/{ROUTE}/rule/1/backend/0.upstream_rq_total"
    stats = await iris.world.envoy_stats(f"^{counted}$")
    assert stats == {counted: "1"}


async def test_copies_go_to_the_mirror_and_their_answers_to_nobody(world):
    for name, value in (("v1", 1), ("v2", 2)):
        await world.deploy(
            name, f"sim://iris?latency_ms=1&value={value}", served_as=world.namespace
        )
    await world.ready("v1", "v2")
    iris = Iris(world, Protocol.V1)
    await world.cluster.create(TRAFFIC_POLICIES, split_policy(iris.route))
    await iris.write(100, 0, Extras(mirrors=(Mirror(workload="v2", percent=30),)))
    async with Load(world.envoy.url, iris.model, 400, predictive=True) as load:
        await eventually(lambda: sum(load.counts().values()) > 800, "some traffic")

    assert set(load.counts()) == {("v1", "2xx")}
    sent = sum(load.counts().values())
    mirror = f"cluster.httproute/{world.namespace}/{ROUTE}/rule/0-mirror-0"

    async def copied():
        stats = await world.envoy_stats(f"^{mirror}.upstream_rq_(total|completed)$")
        done = int(stats.get(f"{mirror}.upstream_rq_completed", 0))
        return done if done == int(stats.get(f"{mirror}.upstream_rq_total", -1)) else 0

    share = await eventually(copied, "the copies are answered") / sent
    # Five standard deviations of a binomial draw: chance fails this once in two million runs.
    assert abs(share - 0.3) < 5 * math.sqrt(0.3 * 0.7 / sent)


async def test_a_mirror_that_is_taken_away_gets_no_more(iris):
    await iris.write(100, 0, Extras(mirrors=(Mirror(workload="v2", percent=100),)))
    await iris.ask()
    await iris.write(100, 0)
    mirror = f"cluster.httproute/{iris.world.namespace}/{ROUTE}/rule/0-mirror-0.upstream_rq_total"

    async def gone():
        return await iris.world.envoy_stats(f"^{mirror}$") == {}

    await eventually(gone, "the mirror's cluster is gone")
    assert await iris.ask() == 1.0


async def test_a_mirror_that_leads_nowhere_fails_all_requests_until_it_is_taken_away(iris):
    """As Envoy Gateway does: a rule whose filter it cannot make answers 500."""
    await iris.order(100, 0, Extras(mirrors=(Mirror(workload="nobody", percent=1),)))

    async def failing():
        return (await iris.answer())[0] == 500

    async def told():
        """The status follows what is in force."""
        stored = await iris.world.http_route(ROUTE)
        parents = (stored.get("status") or {}).get("parents") or []
        conditions = [one for parent in parents for one in parent["conditions"]]
        return ("ResolvedRefs", "False") in {(one["type"], one["status"]) for one in conditions}

    await eventually(failing, "the route fails")
    await eventually(told, "the status says that a reference is not resolved")
    await iris.write(100, 0)
    assert await iris.ask() == 1.0
