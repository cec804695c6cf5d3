"""Virtual models on Envoy AI Gateway: what is written, in which order, and when it is in force."""

from datetime import timedelta

import pytest

from adapters.aigateway.virtual_models import AIGatewayVirtualModels
from adapters.gateways.manifests import Gateway
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
)
from domain.errors import Conflict, FencedOut, InvalidTraffic, NotYet
from tests.cluster.builders import ORDERED_AT, PROJECT, owner
from tests.cluster.hands import GATEWAY, condition
from tests.cluster.virtual import (
    add_backend,
    layout,
    make_http_route,
    obey,
    ref_in,
    take_policy,
    virtual_route_in,
)

LATER = ORDERED_AT + timedelta(minutes=1)


@pytest.fixture
def router(cluster):
    return AIGatewayVirtualModels(cluster, Gateway(name=GATEWAY, namespace="gateways"))


@pytest.fixture
def route(namespace):
    return virtual_route_in(namespace)


@pytest.fixture
def split(namespace):
    return layout(ref_in(namespace, "aws", "a@1", weight=50), ref_in("other", "gcp", weight=50))


@pytest.fixture
def fallback(namespace):
    refs = (ref_in(namespace, "aws", "a@1"), ref_in("other", "gcp", priority=1))
    return layout(*refs, levels=2)


async def policy_of(hands, route):
    return await hands.get(BACKEND_TRAFFIC_POLICY, route.namespace, f"policy-{route.name}")


async def detail(router, route):
    return (await router.observe(route)).obeyed_detail


async def test_a_route_names_the_model_and_each_backend_in_full(router, route, hands, split):
    await router.write(route, split, owner(1))

    found = await hands.get(AI_GATEWAY_ROUTE, route.namespace, route.name)
    rule = found["spec"]["rules"][0]
    assert rule["matches"][0]["headers"] == [
        {"type": "Exact", "name": "x-ai-eg-model", "value": "claude-4-sonnet"}
    ]
    assert rule["backendRefs"] == [
        {
            "name": "aws",
            "namespace": route.namespace,
            "weight": 50,
            "priority": 0,
            "modelNameOverride": "a@1",
        },
        {"name": "gcp", "namespace": "other", "weight": 50, "priority": 0},
    ]
    assert "timeouts" not in rule


async def test_without_fallbacks_each_backend_has_a_cluster_of_its_own(router, route, hands, split):
    await router.write(route, split, owner(1))

    spec = (await policy_of(hands, route))["spec"]
    assert spec["targetRefs"][0]["name"] == route.name
    assert "weightedZones" in spec["loadBalancer"]["zoneAware"]
    assert "retry" not in spec


@pytest.mark.parametrize("times", [(None, "30s"), (90, "45s"), (7, "3s500ms"), (600, "300s")])
async def test_with_fallbacks_each_priority_is_tried_once_within_its_time(
    cluster, route, hands, fallback, times
):
    whole, each = times
    timeout = timedelta(seconds=whole) if whole else None
    gateway = Gateway(name=GATEWAY, namespace="gateways", request_timeout=timeout)
    await AIGatewayVirtualModels(cluster, gateway).write(route, fallback, owner(1))

    spec = (await policy_of(hands, route))["spec"]
    assert "loadBalancer" not in spec
    assert spec["retry"]["numRetries"] == 1
    assert spec["retry"]["numAttemptsPerPriority"] == 1
    assert spec["retry"]["perRetry"] == {"timeout": each}
    assert spec["retry"]["retryOn"]["httpStatusCodes"] == [429, 500, 502, 503, 504]


async def test_a_standing_route_waits_for_its_policy(router, route, hands, split, fallback):
    await router.write(route, split, owner(1))
    await obey(hands, route)

    with pytest.raises(NotYet, match="has not taken BackendTrafficPolicy"):
        await router.write(route, fallback, owner(2))
    found = await hands.get(AI_GATEWAY_ROUTE, route.namespace, route.name)
    assert [one["priority"] for one in found["spec"]["rules"][0]["backendRefs"]] == [0, 0]
    assert "loadBalancer" not in (await policy_of(hands, route))["spec"]

    await take_policy(hands, route)
    await router.write(route, fallback, owner(2))
    assert (await router.observe(route)).layout == fallback


async def test_an_older_run_does_not_touch_the_policy_either(router, route, split, fallback, hands):
    await router.write(route, split, owner(1, run="run-2", started_at=LATER))
    await obey(hands, route)

    with pytest.raises(FencedOut):
        await router.write(route, fallback, owner(9))
    assert "retry" not in (await policy_of(hands, route))["spec"]


async def test_it_is_obeyed_only_when_every_part_is_in_force(router, route, hands, fallback):
    await router.write(route, fallback, owner(1))
    assert "controller has not answered" in await detail(router, route)
    await hands.accept(AI_GATEWAY_ROUTE, route.namespace, route.name)
    assert "HTTPRoute vm-" in await detail(router, route)
    await make_http_route(hands, route)
    assert "has not taken BackendTrafficPolicy" in await detail(router, route)
    await take_policy(hands, route, status="False", message="no such thing")
    assert "is refused: no such thing" in await detail(router, route)
    await take_policy(hands, route)
    assert f"Gateway {GATEWAY} has not taken HTTPRoute" in await detail(router, route)
    await hands.take_http_route(route)
    assert await detail(router, route) == ""


async def test_a_name_that_changed_alone_is_obeyed_once_the_http_route_was_made_anew(
    router, route, hands, split, namespace
):
    await router.write(route, split, owner(1))
    await obey(hands, route)
    renamed = layout(ref_in(namespace, "aws", "a@2", weight=50), split.refs[1])
    await router.write(route, renamed, owner(2))

    assert "made from an earlier write" in await detail(router, route)
    await make_http_route(hands, route)
    assert await detail(router, route) == ""


async def test_a_route_of_somebody_else_is_a_conflict(router, route, hands, split):
    await hands.create(AI_GATEWAY_ROUTE, route.namespace, route.name, spec={"rules": []})
    with pytest.raises(Conflict, match="belongs to others"):
        await router.write(route, split, owner(1))


async def test_a_backend_of_another_project_counts_as_unknown(router, route, hands, namespace):
    await add_backend(hands, namespace, "theirs", **{"tidegate.dev/project": "another"})
    await add_backend(hands, namespace, "ours", **{"tidegate.dev/project": str(PROJECT)})

    await router.require_known(route, [ref_in(namespace, "ours")])
    with pytest.raises(InvalidTraffic, match="there is no AIServiceBackend 'theirs'"):
        await router.require_known(route, [ref_in(namespace, "theirs")])


async def test_a_backend_that_the_gateway_does_not_accept_is_refused(
    router, route, hands, namespace
):
    await add_backend(hands, namespace, "aws", accepted=False)
    refused = condition("NotAccepted", status="False", message="no such Backend")
    await hands.set_status(AI_SERVICE_BACKEND, namespace, "aws", {"conditions": [refused]})
    with pytest.raises(InvalidTraffic, match="does not accept AIServiceBackend 'aws'"):
        await router.require_known(route, [ref_in(namespace, "aws")])


async def test_a_backend_that_the_gateway_has_not_seen_yet_is_worth_another_look(
    router, route, hands, namespace
):
    await add_backend(hands, namespace, "new", accepted=False)
    with pytest.raises(NotYet, match="has not seen AIServiceBackend 'new' yet"):
        await router.require_known(route, [ref_in(namespace, "new")])


async def test_the_policy_outlives_the_route(router, route, hands, fallback):
    await router.write(route, fallback, owner(1))
    await obey(hands, route)

    with pytest.raises(NotYet, match="HTTPRoute"):
        await router.remove(route, owner(2))
    assert await policy_of(hands, route)
    await hands.delete(HTTP_ROUTE, route.namespace, route.name)
    await router.remove(route, owner(2))
    listed = BACKEND_TRAFFIC_POLICY.path(route.namespace)
    assert not (await hands.call("GET", listed))["items"]
