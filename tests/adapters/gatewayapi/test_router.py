"""HTTPRoutes of predictive models on a real API server: what is written, and what hinders."""

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.gatewayapi.router import HTTPRouteRouter
from adapters.gateways.manifests import Gateway
from adapters.kubernetes.resources import BACKEND, BACKEND_TRAFFIC_POLICY, HTTP_ROUTE, SERVICE
from domain.errors import NotYet
from domain.traffic import Extras, HeaderMatch, HeaderRoute, MatchKind, Mirror
from domain.workloads import Protocol
from tests.cluster.builders import owner, route_in, slots, workload_in
from tests.cluster.hands import GATEWAY

STABLE = slots(chat_v1=100, chat_v2=0)
BESIDE = Extras(
    header_routes=(
        HeaderRoute(
            name="preview",
            headers=(HeaderMatch(name="x-user", value=".*[0-3]", kind=MatchKind.PATTERN),),
            workload="chat-v2",
        ),
    ),
    mirrors=(Mirror(workload="chat-v2", percent=20),),
)


@pytest.fixture
def router(cluster):
    return HTTPRouteRouter(cluster, Gateway(name=GATEWAY, namespace="gateways"))


@pytest.fixture
def route(namespace):
    return route_in(namespace, protocol=Protocol.V1)


@pytest.fixture
async def served(hands, namespace):
    for name in ("chat-v1", "chat-v2"):
        await hands.serve(workload_in(namespace, name))


async def rules_of(hands, route):
    found = await hands.get(HTTP_ROUTE, route.namespace, route.name)
    return found["spec"]["rules"]


def service(name, port=80):
    return {"group": "", "kind": "Service", "name": f"{name}-predictor", "port": port}


async def test_the_split_comes_first_with_its_mirrors_and_header_routes_behind_it(
    router, hands, route, served
):
    await router.write(route, STABLE, owner(1), extras=BESIDE)
    split, preview = await rules_of(hands, route)
    assert split["name"] == "main"
    assert split["backendRefs"] == [
        {**service("chat-v1"), "weight": 100},
        {**service("chat-v2"), "weight": 0},
    ]
    assert split["filters"] == [
        {
            "type": "RequestMirror",
            "requestMirror": {"backendRef": service("chat-v2"), "percent": 20},
        }
    ]
    header = {"type": "RegularExpression", "name": "x-user", "value": ".*[0-3]"}
    assert preview["name"] == "preview"
    assert preview["backendRefs"] == [{**service("chat-v2"), "weight": 100}]
    assert [match["path"] for match in preview["matches"]] == [
        match["path"] for match in split["matches"]
    ]
    assert all(match["headers"] == [header] for match in preview["matches"])
    assert "filters" not in preview


PATHS = {
    Protocol.V1: [
        {"type": "Exact", "value": "/v1/models/chat"},
        {"type": "Exact", "value": "/v1/models/chat:predict"},
        {"type": "Exact", "value": "/v1/models/chat:explain"},
    ],
    Protocol.V2: [{"type": "PathPrefix", "value": "/v2/models/chat"}],
}


@pytest.mark.parametrize("protocol", PATHS)
async def test_a_model_is_found_where_its_protocol_has_it(router, hands, route, served, protocol):
    predictive = replace(route, protocol=protocol)
    await router.write(predictive, STABLE, owner(1))
    (split,) = await rules_of(hands, route)
    assert [match["path"] for match in split["matches"]] == PATHS[protocol]


async def test_a_request_has_as_long_as_at_the_ai_gateway_unless_set(
    cluster, router, hands, route, served
):
    await router.write(route, STABLE, owner(1))
    assert (await rules_of(hands, route))[0]["timeouts"] == {"request": "60s"}
    patient = Gateway(name=GATEWAY, namespace="gateways", request_timeout=timedelta(minutes=10))
    await HTTPRouteRouter(cluster, patient).write(route, STABLE, owner(2))
    assert (await rules_of(hands, route))[0]["timeouts"] == {"request": "600s"}


async def test_a_headless_service_is_named_by_its_own_port(router, hands, route, namespace):
    ports = [{"name": "http", "port": 8081, "targetPort": 8080}]
    spec = {"clusterIP": "None", "ports": ports}
    await hands.create(SERVICE, namespace, "chat-v1-predictor", spec=spec)
    await router.write(route, slots(chat_v1=100), owner(1))
    (split,) = await rules_of(hands, route)
    assert split["backendRefs"] == [{**service("chat-v1", 8081), "weight": 100}]


async def test_connecting_splits_the_clusters_and_makes_nothing_else(
    router, hands, route, served, cluster
):
    await router.connect(route, workload_in(route.namespace))
    policy = await hands.get(BACKEND_TRAFFIC_POLICY, route.namespace, f"split-{route.name}")
    assert policy["spec"]["targetRefs"] == [
        {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route.name}
    ]
    assert policy["spec"]["loadBalancer"]["zoneAware"]["weightedZones"]
    assert await cluster.get(BACKEND, route.namespace, "chat-v1") is None


async def test_a_service_without_a_port_cannot_be_connected_yet(router, hands, route, namespace):
    await hands.create(SERVICE, namespace, "chat-v1-predictor", spec={})
    with pytest.raises(NotYet, match="chat-v1-predictor"):
        await router.connect(route, workload_in(namespace))


async def test_what_the_gateway_saw_before_the_last_write_is_not_obeyed(
    router, hands, route, served
):
    await router.write(route, STABLE, owner(1))
    assert "has not taken" in (await router.observe(route)).obeyed_detail
    await hands.take_http_route(route)
    assert (await router.observe(route)).obeyed
    await router.write(route, STABLE, owner(2), extras=BESIDE)
    state = await router.observe(route)
    assert "has not seen this HTTPRoute" in state.obeyed_detail
    assert state.extras == BESIDE


async def test_a_reference_that_leads_nowhere_is_not_obeyed_and_says_so(
    router, hands, route, served
):
    await router.write(route, STABLE, owner(1))
    lost = {"status": "False", "message": "Service chat-v2-predictor not found"}
    await hands.take_http_route(route, ResolvedRefs=lost)
    state = await router.observe(route)
    assert "Service chat-v2-predictor not found" in state.obeyed_detail


async def test_another_path_is_drift_with_who_made_it(router, hands, route, served):
    await router.write(route, STABLE, owner(1), extras=BESIDE)
    rules = await rules_of(hands, route)
    rules[1]["matches"] = rules[1]["matches"][:1]
    change = {"spec": {"rules": rules}}
    await hands.patch(HTTP_ROUTE, route.namespace, route.name, change)
    drift = await router.drift(route, STABLE, BESIDE)
    assert (drift.field, drift.manager) == ("rules[1].matches", "kubectl-edit")


async def test_a_changed_mirror_is_drift_with_who_made_it(router, hands, route, served):
    await router.write(route, STABLE, owner(1), extras=BESIDE)
    rules = await rules_of(hands, route)
    rules[0]["filters"][0]["requestMirror"]["percent"] = 100
    change = {"spec": {"rules": rules}}
    await hands.patch(HTTP_ROUTE, route.namespace, route.name, change)
    assert str(await router.drift(route, STABLE, BESIDE)) == (
        "mirrors is 100 % copied to chat-v2, was written as 20 % copied to chat-v2; "
        "changed by kubectl-edit"
    )
