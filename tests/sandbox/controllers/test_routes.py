"""AIGatewayRoutes as Envoy obeys them: shares, names, order, refusals, and no request lost."""

import asyncio
import math

import pytest

from sandbox.controllers.cluster import NotThere
from sandbox.controllers.disobedience import ANNOTATION
from sandbox.controllers.resources import (
    AI_BACKENDS,
    AI_ROUTES,
    BACKENDS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    TRAFFIC_POLICIES,
)
from sandbox.load import Load
from tests.sandbox.controllers.world import eventually

FAST = "sim://chat?latency_ms=1"


@pytest.fixture
async def two(world):
    """Two ready variants that the gateway knows; the namespace is the model's name."""
    await world.deploy("v1", FAST)
    await world.deploy("v2", FAST)
    await world.connect("v1", "v2")
    await world.ready("v1", "v2")
    return world


def load_on(world, rps=300):
    return Load(world.envoy.url, world.namespace, rps)


def unserved(load):
    """The answers that are not a 2xx of a model server."""
    return {key: count for key, count in load.counts().items() if key[1] != "2xx"}


async def test_a_weight_change_is_obeyed(two):
    await two.add_route("chat", two.namespace, {"v1": 100, "v2": 0})
    await two.served_by(two.namespace, "v1")

    await two.weigh("chat", two.namespace, {"v1": 0, "v2": 100})
    await two.in_force("chat")

    answers = [await two.ask(two.namespace) for _ in range(20)]
    assert set(answers) == {(200, "v2")}


@pytest.mark.parametrize("is_split", [True, False])
async def test_shares_follow_the_weights(two, is_split):
    if is_split:
        await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 90, "v2": 10})
    await two.in_force("chat")

    async with load_on(two, rps=800) as load:
        await asyncio.sleep(3)

    assert not unserved(load)
    total = sum(load.counts().values())
    share = load.counts()["v2", "2xx"] / total
    # Five standard deviations of a binomial draw: chance fails this once in two million runs.
    assert abs(share - 0.1) < 5 * math.sqrt(0.1 * 0.9 / total)


async def test_a_rule_is_one_cluster_by_default(two):
    await two.add_route("chat", two.namespace, {"v1": 50, "v2": 50})
    await two.in_force("chat")
    for _ in range(10):
        await two.ask(two.namespace)

    route = f"cluster.httproute/{two.namespace}/chat/rule/0"
    stats = await two.envoy_stats(f"^{route}.*upstream_rq_total")
    assert stats == {f"{route}.upstream_rq_total": "10"}


async def test_a_zone_policy_splits_the_rule_into_a_cluster_for_each_backend(two):
    await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 0, "v2": 100})
    await two.in_force("chat")
    for _ in range(10):
        await two.ask(two.namespace)

    route = f"cluster.httproute/{two.namespace}/chat/rule/0"
    stats = await two.envoy_stats(f"^{route}.*(upstream_rq_total|membership_healthy)")
    assert stats[f"{route}/backend/1.upstream_rq_total"] == "10"
    # The other is kept warm, so that its first percent finds it ready.
    assert stats[f"{route}/backend/0.membership_healthy"] == "1"
    assert f"{route}.upstream_rq_total" not in stats


@pytest.mark.parametrize("is_split", [True, False])
async def test_no_request_fails_while_weights_flip(two, is_split):
    if is_split:
        await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 100, "v2": 0})
    await two.in_force("chat")

    async with load_on(two) as load:
        for turn in range(40):
            weight = (0, 1, 50, 100)[turn % 4]
            weights = {"v1": 100 - weight, "v2": weight}
            await two.weigh("chat", two.namespace, weights)
            await asyncio.sleep(0.07)

    assert not unserved(load)
    assert min(load.counts()["v1", "2xx"], load.counts()["v2", "2xx"]) > 100


async def test_no_request_fails_while_references_and_modes_come_and_go(two):
    await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 100})
    await two.in_force("chat")

    async with load_on(two) as load:
        for _ in range(10):
            # A reference that comes and goes with weight needs a cluster that does.
            for weights in ({"v1": 50, "v2": 50}, {"v2": 100}, {"v1": 100}):
                await two.weigh("chat", two.namespace, weights)
                await asyncio.sleep(0.05)
        await two.cluster.delete(TRAFFIC_POLICIES, two.key("split-chat"))
        await asyncio.sleep(0.3)
        await two.split("chat")
        await asyncio.sleep(0.3)

    assert not unserved(load)


async def test_a_teardown_loses_no_request(two):
    await two.put_behaviour("v2", latency_ms=150)
    await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 50, "v2": 50})
    await two.in_force("chat")

    async with load_on(two) as load:
        await asyncio.sleep(0.5)
        await two.weigh("chat", two.namespace, {"v1": 100, "v2": 0})
        await two.in_force("chat")
        await two.weigh("chat", two.namespace, {"v1": 100})
        await two.in_force("chat")
        for resource in (AI_BACKENDS, BACKENDS, INFERENCE_SERVICES):
            await two.cluster.delete(resource, two.key("v2"))
        await asyncio.sleep(4)

    assert not unserved(load)
    assert load.counts()["v2", "2xx"] > 20
    prefix = f"cluster.httproute/{two.namespace}/chat/rule/0/backend/1"
    assert not await two.envoy_stats(f"^{prefix}.membership_healthy")


async def test_requests_under_way_outlive_the_deletion_of_their_service(world):
    await world.deploy("slow", "sim://chat?latency_ms=1500")
    await world.connect("slow")
    await world.ready("slow")
    await world.add_route("chat", world.namespace, {"slow": 100})
    await world.in_force("chat")

    answer = asyncio.create_task(world.ask(world.namespace))
    await asyncio.sleep(0.3)
    await world.cluster.delete(INFERENCE_SERVICES, world.key("slow"))
    await eventually(lambda: gone(world, "slow"), "slow gone")

    assert await answer == (200, "slow")
    assert (await world.ask(world.namespace))[0] == 503


async def gone(world, name):
    try:
        await world.service(name)
    except NotThere:
        return True
    return False


async def test_a_missing_service_backend_leaves_the_route_in_force_as_it_was(two):
    await two.add_route("chat", two.namespace, {"v1": 100})
    await two.in_force("chat")

    await two.weigh("chat", two.namespace, {"v1": 0, "ghost": 100})

    async def not_accepted():
        return await two.condition_types(AI_ROUTES, "chat") == ["NotAccepted"]

    await eventually(not_accepted)
    assert await two.ask(two.namespace) == (200, "v1")
    stored = await two.http_route("chat")
    assert [ref["name"] for ref in stored["spec"]["rules"][0]["backendRefs"]] == ["v1"]

    await two.deploy("ghost", FAST)
    await two.ready("ghost")
    await two.connect("ghost")
    await two.served_by(two.namespace, "ghost")

    async def accepted():
        return await two.condition_types(AI_ROUTES, "chat") == ["Accepted"]

    await eventually(accepted)


async def test_a_service_backend_without_its_backend_is_not_accepted(world):
    await world.connect("late", backend=False)

    async def kinds(wanted):
        return await world.condition_types(AI_BACKENDS, "late") == [wanted]

    await eventually(lambda: kinds("NotAccepted"))
    await world.add_backend("late")
    await eventually(lambda: kinds("Accepted"))


async def test_a_missing_backend_answers_500_for_its_share(two):
    await two.connect("void", backend=False)
    await two.add_route("chat", two.namespace, {"v1": 50, "void": 50})

    async def both():
        answers = {await two.ask(two.namespace) for _ in range(20)}
        return answers == {(200, "v1"), (500, "")}

    await eventually(both)
    stored = await two.http_route("chat")
    conditions = stored["status"]["parents"][0]["conditions"]
    unresolved = next(one for one in conditions if one["type"] == "ResolvedRefs")
    assert (unresolved["status"], unresolved["reason"]) == ("False", "BackendNotFound")


async def test_a_backend_without_endpoints_answers_503(two):
    await two.split("chat")
    await two.connect("empty")
    await two.add_route("chat", two.namespace, {"v1": 0, "empty": 100})
    await two.in_force("chat")

    assert await two.ask(two.namespace) == (503, "")


async def test_weights_that_are_all_0_answer_500(two):
    await two.add_route("chat", two.namespace, {"v1": 0, "v2": 0})
    await two.in_force("chat")

    assert (await two.ask(two.namespace))[0] == 500


async def test_an_unknown_model_is_not_found(two):
    await two.add_route("chat", two.namespace, {"v1": 100})
    await two.in_force("chat")

    assert (await two.ask("no-such-model"))[0] == 404


async def test_a_changed_http_route_is_put_right(two):
    await two.add_route("chat", two.namespace, {"v1": 100, "v2": 0})
    await two.in_force("chat")
    stored = await two.http_route("chat")
    rules = stored["spec"]["rules"]
    rules[0]["backendRefs"][0]["weight"] = 0
    rules[0]["backendRefs"][1]["weight"] = 100
    await two.cluster.merge(HTTP_ROUTES, two.key("chat"), {"spec": {"rules": rules}})

    async def restored():
        live = await two.http_route("chat")
        return [ref["weight"] for ref in live["spec"]["rules"][0]["backendRefs"]] == [100, 0]

    await eventually(restored)
    await two.served_by(two.namespace, "v1")


async def test_the_rule_with_more_header_matches_wins(two):
    rules = two.rules(two.namespace, {"v1": 100}) + two.rules(two.namespace, {"v2": 100})
    rules[1]["name"] = "preview"
    rules[1]["matches"][0]["headers"].append(
        {"name": "x-variant", "type": "RegularExpression", "value": "can.*"}
    )
    await two.create(AI_ROUTES, "chat", {"parentRefs": [], "rules": rules})
    await two.served_by(two.namespace, "v1")

    assert await two.ask(two.namespace, **{"x-variant": "canary"}) == (200, "v2")
    assert await two.ask(two.namespace, **{"x-variant": "other"}) == (200, "v1")


async def test_a_model_server_hears_the_name_it_is_known_by(two):
    await two.split("chat")
    await two.add_route("chat", two.namespace, {"v1": 100})
    await two.in_force("chat")

    body = {"model": two.namespace, "messages": [{"role": "user", "content": "hi"}]}
    async with two.http.post(f"{two.envoy.url}/v1/chat/completions", json=body) as response:
        assert (await response.json())["model"] == "v1"


async def test_a_deleted_route_is_gone_from_the_gateway(two):
    await two.add_route("chat", two.namespace, {"v1": 100})
    await two.in_force("chat")

    await two.cluster.delete(AI_ROUTES, two.key("chat"))

    async def not_found():
        return (await two.ask(two.namespace))[0] == 404 and not await two.http_route("chat")

    await eventually(not_found)
    with pytest.raises(NotThere):
        await two.cluster.get(AI_ROUTES, two.key("chat"))


async def test_many_routes_are_all_obeyed(two):
    models = [f"{two.namespace}-{number}" for number in range(60)]
    for model in models:
        await two.add_route(model, model, {"v1": 100, "v2": 0})
    for model in models:
        await two.in_force(model)
    for model in models:
        await two.weigh(model, model, {"v1": 0, "v2": 100})
    for model in models:
        await two.in_force(model)

    assert {await two.ask(model) for model in models} == {(200, "v2")}


async def test_streams_pass_the_gateway_piece_by_piece(world):
    await world.deploy("stream", "sim://chat?ttft_ms=50&tokens=5&tokens_per_second=20")
    await world.connect("stream")
    await world.ready("stream")
    await world.add_route("chat", world.namespace, {"stream": 100})
    await world.in_force("chat")

    body = {
        "model": world.namespace,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    now = asyncio.get_running_loop().time
    async with world.http.post(f"{world.envoy.url}/v1/chat/completions", json=body) as response:
        lines = [(now(), line) async for line in response.content]
    pieces = [(at, line) for at, line in lines if line.startswith(b"data: ")]

    assert len(pieces) == 6
    assert pieces[-1][1] == b"data: [DONE]\n"
    # Four gaps of 50 ms; had the gateway held the answer back, all would come at once.
    assert pieces[4][0] - pieces[0][0] > 0.1


async def test_a_pattern_that_nobody_can_read_harms_its_own_route_only(two):
    await two.add_route("chat", two.namespace, {"v1": 100, "v2": 0})
    await two.in_force("chat")
    rules = two.rules(two.namespace, {"v1": 100})
    rules[0]["matches"][0]["headers"][0].update({"type": "RegularExpression", "value": "(chat"})
    await two.create(AI_ROUTES, "broken", {"parentRefs": [], "rules": rules})

    async def refused():
        return await two.condition_types(AI_ROUTES, "broken") == ["NotAccepted"]

    await eventually(refused)
    await two.weigh("chat", two.namespace, {"v1": 0, "v2": 100})
    await two.served_by(two.namespace, "v2")


async def test_a_gateway_that_is_told_to_disobeys_a_route_and_says_nothing(two):
    await two.add_route("chat", two.namespace, {"v1": 100, "v2": 0})
    await two.served_by(two.namespace, "v1")

    async def annotate(said):
        change = {"metadata": {"annotations": {ANNOTATION: said}}}
        await two.cluster.merge(AI_ROUTES, two.key("chat"), change)

    await annotate('{"0": 0, "1": 100}')
    await two.served_by(two.namespace, "v2")

    live = await two.http_route("chat")
    assert [ref["weight"] for ref in live["spec"]["rules"][0]["backendRefs"]] == [100, 0]
    assert await two.is_in_force("chat")

    await annotate(None)
    await two.served_by(two.namespace, "v1")


async def test_each_endpoint_is_counted_alone(two):
    await two.add_route("chat", two.namespace, {"v1": 50, "v2": 50})
    await two.served_by(two.namespace, "v1")
    await two.served_by(two.namespace, "v2")

    counted = await two.envoy_stats(rf"{two.namespace}.*endpoint.*rq_success")

    assert len(counted) == 2
    assert all(int(value) > 0 for value in counted.values())
