"""Routes and backends on a real API server: what is written, in which order, and what is left."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.aigateway.router import AIGatewayRouter
from adapters.gateways.manifests import Gateway
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
    SERVICE,
)
from domain.errors import Conflict, Contended, NotYet
from tests.cluster.builders import CONFIG, PROJECT, owner, route_in, slots, workload_in
from tests.cluster.hands import GATEWAY

STABLE = slots(chat_v1=100, chat_v2=0)
SPLIT = slots(chat_v1=90, chat_v2=10)


@pytest.fixture
def router(cluster):
    return AIGatewayRouter(cluster, Gateway(name=GATEWAY, namespace="gateways"))


@pytest.fixture
def route(namespace):
    return route_in(namespace)


@pytest.fixture
def workload(namespace):
    return workload_in(namespace)


@pytest.fixture
async def written(router, route, hands, namespace):
    """A route over two workloads, in force."""
    for name in ("chat-v1", "chat-v2"):
        await join(router, hands, route, workload_in(namespace, name))
    await router.write(route, STABLE, owner(1))
    await hands.obey(route)
    return route


async def join(router, hands, route, workload):
    await hands.serve(workload)
    with pytest.raises(NotYet):
        await router.connect(route, workload)
    await hands.accept_backend(workload)
    await router.connect(route, workload)


async def rule_of(hands, route):
    found = await hands.get(AI_GATEWAY_ROUTE, route.namespace, route.name)
    return found["spec"]["rules"][0]


async def rewrite(hands, route, rules, manager="kubectl-edit"):
    change = {"spec": {"rules": rules}}
    await hands.patch(AI_GATEWAY_ROUTE, route.namespace, route.name, change, manager=manager)


# What is written


async def test_the_route_has_one_rule_with_a_reference_per_slot(hands, written):
    found = await hands.get(AI_GATEWAY_ROUTE, written.namespace, written.name)
    reference = {"priority": 0}
    assert found["spec"]["rules"] == [
        {
            "name": "main",
            "matches": [{"headers": [{"type": "Exact", "name": "x-ai-eg-model", "value": "chat"}]}],
            "backendRefs": [
                {**reference, "name": "chat-v1", "weight": 100, "modelNameOverride": "chat-v1"},
                {**reference, "name": "chat-v2", "weight": 0, "modelNameOverride": "chat-v2"},
            ],
        }
    ]
    parent = found["spec"]["parentRefs"][0]
    assert (parent["kind"], parent["name"], parent["namespace"]) == (
        "Gateway",
        GATEWAY,
        "gateways",
    )
    assert found["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "tidegate",
        "tidegate.dev/project": str(PROJECT),
        "tidegate.dev/config": str(CONFIG),
    }


async def test_a_gap_in_the_slots_keeps_its_position(router, hands, written):
    gap = (STABLE[0], replace(STABLE[0], weight=0), replace(STABLE[1], weight=0))
    await router.write(written, gap, owner(2))
    assert (await router.observe(written)).slots == gap


async def test_a_request_may_be_given_longer_than_the_gateway_allows_by_itself(
    cluster, hands, written
):
    gateway = Gateway(name=GATEWAY, namespace="gateways", request_timeout=timedelta(minutes=10))
    await AIGatewayRouter(cluster, gateway).write(written, STABLE, owner(2))
    assert (await rule_of(hands, written))["timeouts"] == {"request": "600s"}


async def test_connecting_splits_the_clusters_and_points_at_the_predictor(
    hands, written, namespace
):
    policy = await hands.get(BACKEND_TRAFFIC_POLICY, namespace, f"split-{written.name}")
    assert policy["spec"]["targetRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": written.name}
    ]
    assert policy["spec"]["loadBalancer"]["zoneAware"]["weightedZones"]
    backend = await hands.get(BACKEND, namespace, "chat-v1")
    host = f"chat-v1-predictor.{namespace}.svc.cluster.local"
    assert backend["spec"]["endpoints"] == [{"fqdn": {"hostname": host, "port": 80}}]
    service_backend = await hands.get(AI_SERVICE_BACKEND, namespace, "chat-v1")
    assert service_backend["spec"]["schema"] == {"name": "OpenAI", "prefix": "v1"}
    assert service_backend["spec"]["backendRef"]["name"] == "chat-v1"


# Joining


async def test_a_workload_without_a_service_cannot_be_connected_yet(router, hands, route, workload):
    with pytest.raises(NotYet, match="chat-v1-predictor"):
        await router.connect(route, workload)
    await hands.create(SERVICE, route.namespace, "chat-v1-predictor", spec={})
    with pytest.raises(NotYet, match="chat-v1-predictor"):
        await router.connect(route, workload)


async def test_a_refused_backend_says_why(router, hands, route, workload):
    await hands.serve(workload)
    with pytest.raises(NotYet, match="has not answered yet"):
        await router.connect(route, workload)
    refused = {"type": "NotAccepted", "status": "False", "message": "no such Backend"}
    status = {"conditions": [refused]}
    await hands.set_status(AI_SERVICE_BACKEND, route.namespace, workload.name, status)
    with pytest.raises(NotYet, match="no such Backend"):
        await router.connect(route, workload)


async def test_connecting_again_writes_nothing_and_mends_what_was_changed(
    router, hands, written, workload
):
    before = await hands.get(BACKEND, written.namespace, workload.name)
    await router.connect(written, workload)
    assert await hands.get(BACKEND, written.namespace, workload.name) == before
    await hands.delete(BACKEND, written.namespace, workload.name)
    await hands.delete(BACKEND_TRAFFIC_POLICY, written.namespace, f"split-{written.name}")
    await router.connect(written, workload)
    mended = await hands.get(BACKEND, written.namespace, workload.name)
    assert mended["spec"] == before["spec"]
    await hands.get(BACKEND_TRAFFIC_POLICY, written.namespace, f"split-{written.name}")


async def test_objects_of_others_are_neither_taken_nor_deleted(router, hands, route, workload):
    await hands.serve(workload)
    endpoint = {"fqdn": {"hostname": "elsewhere.test", "port": 80}}
    await hands.create(BACKEND, route.namespace, workload.name, spec={"endpoints": [endpoint]})
    before = await hands.get(BACKEND, route.namespace, workload.name)
    with pytest.raises(Conflict, match="belongs to somebody else"):
        await router.connect(route, workload)
    await router.disconnect(route, workload)
    assert await hands.get(BACKEND, route.namespace, workload.name) == before


# Writing


async def test_of_two_creators_one_wins_and_the_other_is_told(router, hands, route, namespace):
    for name in ("chat-v1", "chat-v2"):
        await join(router, hands, route, workload_in(namespace, name))
    outcomes = await asyncio.gather(
        router.write(route, STABLE, owner(1)),
        router.write(route, SPLIT, owner(1, run="run-2")),
        return_exceptions=True,
    )
    lost = [one for one in outcomes if one is not None]
    assert [type(one) for one in lost] == [Contended]


async def test_of_two_writers_that_read_the_same_one_is_contended(router, written):
    outcomes = await asyncio.gather(
        *(router.write(written, SPLIT, owner(n)) for n in (2, 3)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Contended", "NoneType"]


async def test_a_route_of_somebody_else_is_taken_only_by_insisting(router, hands, route, namespace):
    await join(router, hands, route, workload_in(namespace, "chat-v1"))
    rules = [{"name": "theirs", "backendRefs": [{"name": "other"}]}]
    await hands.create(AI_GATEWAY_ROUTE, namespace, route.name, spec={"rules": rules})
    with pytest.raises(Conflict, match="belongs to others"):
        await router.write(route, slots(chat_v1=100), owner(1))
    await router.remove(route, owner(1))
    assert (await router.observe(route)).slots == slots(other=1)
    await router.write(route, slots(chat_v1=100), owner(1), insist=True)
    assert (await router.observe(route)).slots == slots(chat_v1=100)


async def test_whoever_insists_needs_no_backend_to_be_known(router, hands, written):
    await hands.delete(AI_GATEWAY_ROUTE, written.namespace, written.name)
    await hands.delete(AI_SERVICE_BACKEND, written.namespace, "chat-v2")
    with pytest.raises(NotYet):
        await router.write(written, STABLE, owner(2))
    await router.write(written, STABLE, owner(2), insist=True)
    assert (await router.observe(written)).slots == STABLE


async def test_a_route_on_its_way_out_cannot_be_written(router, hands, written):
    await hands.hold(AI_GATEWAY_ROUTE, written.namespace, written.name)
    await hands.delete(AI_GATEWAY_ROUTE, written.namespace, written.name)
    for insist in (False, True):
        with pytest.raises(NotYet, match="is being deleted"):
            await router.write(written, SPLIT, owner(2), insist=insist)
    state = await router.observe(written)
    assert (state.obeyed, "being deleted" in state.obeyed_detail) == (False, True)
    assert (await router.drift(written, STABLE)).found == "missing"


@pytest.mark.parametrize(
    "tampered",
    [
        {"tidegate.dev/sequence": None},
        {"tidegate.dev/sequence": "²"},
        {"tidegate.dev/ordered-at": "yesterday"},
    ],
)
async def test_a_route_whose_owner_cannot_be_read_has_none(router, hands, written, tampered):
    change = {"metadata": {"annotations": tampered}}
    await hands.patch(AI_GATEWAY_ROUTE, written.namespace, written.name, change)
    assert (await router.observe(written)).owner is None


# Leaving


async def test_a_backend_stays_while_the_gateway_still_routes_to_it(
    router, hands, written, namespace
):
    candidate = workload_in(namespace, "chat-v2")
    await router.write(written, slots(chat_v1=100), owner(2))
    with pytest.raises(NotYet, match=r"HTTPRoute .* still names chat-v2"):
        await router.disconnect(written, candidate)
    await hands.obey(written)
    await hands.hold(AI_SERVICE_BACKEND, namespace, "chat-v2")
    for _ in range(2):
        with pytest.raises(NotYet, match="AIServiceBackend chat-v2 is still being deleted"):
            await router.disconnect(written, candidate)
    await hands.get(BACKEND, namespace, "chat-v2")
    await hands.let_go(AI_SERVICE_BACKEND, namespace, "chat-v2")
    await router.disconnect(written, candidate)
    with pytest.raises(AssertionError, match="NotFound"):
        await hands.get(BACKEND, namespace, "chat-v2")


async def test_a_removed_route_takes_its_policy_along_once_it_is_gone(
    router, hands, written, cluster
):
    policy = f"split-{written.name}"
    await hands.hold(AI_GATEWAY_ROUTE, written.namespace, written.name)
    for _ in range(2):
        with pytest.raises(NotYet):
            await router.remove(written, owner(2))
    await hands.get(BACKEND_TRAFFIC_POLICY, written.namespace, policy)
    await hands.let_go(AI_GATEWAY_ROUTE, written.namespace, written.name)
    await router.remove(written, owner(2))
    assert await cluster.get(BACKEND_TRAFFIC_POLICY, written.namespace, policy) is None


# Whether the gateway obeys


async def test_a_new_weight_is_obeyed_only_once_the_gateway_shows_it(router, hands, written):
    await router.write(written, SPLIT, owner(2))
    state = await router.observe(written)
    assert not state.obeyed
    assert state.obeyed_detail.endswith("still shows chat-v1 100 %, chat-v2 0 %")
    found = await hands.get(AI_GATEWAY_ROUTE, written.namespace, written.name)
    await hands.make_http_route(written, found)
    state = await router.observe(written)
    assert "has not seen this HTTPRoute" in state.obeyed_detail
    await hands.take_http_route(written)
    assert (await router.observe(written)).obeyed


async def test_a_refused_route_is_not_obeyed_whatever_stood_before(router, hands, written):
    refused = {"type": "NotAccepted", "status": "False", "message": "no AIServiceBackend x"}
    status = {"conditions": [refused]}
    await hands.set_status(AI_GATEWAY_ROUTE, written.namespace, written.name, status)
    state = await router.observe(written)
    assert (state.obeyed, "no AIServiceBackend x" in state.obeyed_detail) == (False, True)


async def test_unresolved_references_are_not_obeyed(router, hands, written):
    why = {"status": "False", "message": "backend chat-v2 not found"}
    await hands.take_http_route(written, ResolvedRefs=why)
    state = await router.observe(written)
    assert "ResolvedRefs is false: backend chat-v2 not found" in state.obeyed_detail


async def test_without_an_http_route_or_its_gateway_nothing_is_obeyed(router, hands, written):
    status = {
        "parents": [
            {"parentRef": {"name": "another"}, "controllerName": "a.test/c", "conditions": []}
        ]
    }
    await hands.set_status(HTTP_ROUTE, written.namespace, written.name, status)
    assert "has not taken" in (await router.observe(written)).obeyed_detail
    await hands.delete(HTTP_ROUTE, written.namespace, written.name)
    assert "is not there yet" in (await router.observe(written)).obeyed_detail


# Drift


async def test_other_rules_are_drift(router, hands, written):
    rule = await rule_of(hands, written)
    await rewrite(hands, written, [rule, {**rule, "name": "second"}], manager="flux")
    drift = await router.drift(written, STABLE)
    assert str(drift) == "rules is 2 rules, was written as 1 rule; changed by flux"
    await rewrite(hands, written, [])
    assert (await router.drift(written, STABLE)).found == "0 rules"


async def test_another_match_is_drift(router, hands, written):
    rule = await rule_of(hands, written)
    header = {"name": "x-ai-eg-model", "value": "other"}
    await rewrite(hands, written, [{**rule, "matches": [{"headers": [header]}]}])
    drift = await router.drift(written, STABLE)
    assert (drift.field, drift.manager) == ("rules[0].matches", "kubectl-edit")


async def test_something_added_to_a_rule_is_drift(router, hands, written):
    rule = await rule_of(hands, written)
    await rewrite(hands, written, [{**rule, "timeouts": {"request": "1s"}}])
    drift = await router.drift(written, STABLE)
    assert (drift.field, drift.manager) == ("rules", "kubectl-edit")


async def test_another_gateway_is_drift(router, hands, written):
    change = {"spec": {"parentRefs": [{"name": "another"}]}}
    await hands.patch(AI_GATEWAY_ROUTE, written.namespace, written.name, change)
    drift = await router.drift(written, STABLE)
    assert (drift.field, drift.manager) == ("parentRefs", "kubectl-edit")
    await router.write(written, STABLE, owner(1), insist=True)
    assert await router.drift(written, STABLE) is None


async def test_status_and_labels_of_others_are_no_drift(router, hands, written):
    change = {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}
    await hands.patch(AI_GATEWAY_ROUTE, written.namespace, written.name, change)
    assert await router.drift(written, STABLE) is None
