"""A virtual model's route on the API stand-in: builders, and what the gateway would do to it."""

from uuid import UUID

from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
)
from domain.virtual_models import VirtualRoute, route_name
from domain.virtual_routes import Layout, Ref
from tests.cluster.builders import PROJECT
from tests.cluster.hands import APPLY, GATEWAY, condition

MODEL_ID = UUID(int=7)


def virtual_route_in(namespace, *, model="claude-4-sonnet"):
    return VirtualRoute(
        project_id=PROJECT,
        virtual_model_id=MODEL_ID,
        namespace=namespace,
        name=route_name(MODEL_ID),
        model=model,
    )


def ref_in(namespace, name="aws", override=None, *, weight=1, priority=0):
    return Ref(
        name=name,
        namespace=namespace,
        model_name_override=override,
        weight=weight,
        priority=priority,
    )


def layout(*refs, levels=1):
    return Layout(refs=refs, levels=levels)


async def add_backend(hands, namespace, name, *, accepted=True, **labels):
    """What an administrator has set up."""
    target = {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": name}
    spec = {"schema": {"name": "OpenAI"}, "backendRef": target}
    metadata = {"labels": labels}
    await hands.create(AI_SERVICE_BACKEND, namespace, name, metadata=metadata, spec=spec)
    if accepted:
        await hands.accept(AI_SERVICE_BACKEND, namespace, name)


async def take_policy(hands, route, **changed):
    """Have the Gateway say of the policy as it is that it is in force."""
    name = f"policy-{route.name}"
    found = await hands.get(BACKEND_TRAFFIC_POLICY, route.namespace, name)
    stated = condition("Accepted", observedGeneration=found["metadata"]["generation"], **changed)
    ancestor = {
        "ancestorRef": {"name": GATEWAY},
        "controllerName": "a.test/c",
        "conditions": [stated],
    }
    status = {"ancestors": [ancestor]}
    await hands.set_status(BACKEND_TRAFFIC_POLICY, route.namespace, name, status)


async def make_http_route(hands, route):
    """Make of the AIGatewayRoute as it stands what its controller makes of it."""
    found = await hands.get(AI_GATEWAY_ROUTE, route.namespace, route.name)
    await hands.accept(AI_GATEWAY_ROUTE, route.namespace, route.name)
    rule = found["spec"]["rules"][0]
    refs = [
        {
            "group": "gateway.envoyproxy.io",
            "kind": "Backend",
            "name": f"{ref['name']}-endpoints",
            "weight": ref["weight"],
        }
        for ref in rule["backendRefs"]
    ]
    metadata = {"name": route.name, "annotations": found["metadata"]["annotations"]}
    rules = [{"name": "main", "backendRefs": refs}, {"name": "not-found"}]
    body = {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": metadata,
        "spec": {"parentRefs": [{"name": GATEWAY}], "rules": rules},
    }
    path = HTTP_ROUTE.path(route.namespace, route.name)
    await hands.call("PATCH", path, body, content_type=APPLY, fieldManager="ai-gateway")


async def obey(hands, route):
    """Put the route and its policy in force as they stand."""
    await make_http_route(hands, route)
    await hands.take_http_route(route)
    await take_policy(hands, route)
