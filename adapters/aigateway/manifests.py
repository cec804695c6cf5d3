"""The objects that make up a route, as we write them and as we read them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from adapters.kubernetes.documents import (
    Manifest,
    mapping,
    mappings,
    route_labels,
    text,
    whole,
    workload_labels,
)
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
    Resource,
)
from domain.traffic import Route, Slot, Slots
from domain.workloads import Workload

MODEL_HEADER = "x-ai-eg-model"
RULE = "main"
_DEFAULT_WEIGHT = 1
_DEFAULT_PREFIX = "v1"
# Under which path a model server speaks OpenAI's protocol; the runtime says more than the format.
_PREFIX_BY_RUNTIME = {"huggingfaceserver": "openai/v1", "vllmserver": "v1"}
_PREFIX_BY_FORMAT = {"huggingface": "openai/v1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The Gateway that routes attach to. A request may take `request_timeout`, streams included.

    Without one Envoy AI Gateway allows 60 seconds.
    """

    name: str
    namespace: str
    request_timeout: timedelta | None = None

    @property
    def parent(self) -> Manifest:
        """The Gateway, as routes refer to it."""
        return {
            "group": HTTP_ROUTE.group,
            "kind": "Gateway",
            "name": self.name,
            "namespace": self.namespace,
        }


def service_name(workload: Workload) -> str:
    """The Service that KServe makes for a workload in Standard mode."""
    return f"{workload.name}-predictor"


def policy_name(route: Route) -> str:
    return f"split-{route.name}"


def port_of(service: Mapping[str, Any]) -> int | None:
    """The port to dial: the Service's own, or the container's where DNS gives the pods.

    None when the Service has no usable port yet.
    """
    listed = mappings(service, "spec", "ports")
    first = next(iter(listed), {})
    if text(service, "spec", "clusterIP") == "None":
        return whole(first, "targetPort") or whole(first, "port")
    return whole(first, "port")


def backend(workload: Workload, port: int) -> Manifest:
    host = f"{service_name(workload)}.{workload.namespace}.svc.cluster.local"
    spec = {"endpoints": [{"fqdn": {"hostname": host, "port": port}}]}
    return object_of(
        BACKEND, workload.namespace, workload.name, workload_labels(workload), spec=spec
    )


def ai_service_backend(workload: Workload) -> Manifest:
    spec = {
        "schema": {"name": "OpenAI", "prefix": prefix_of(workload)},
        "backendRef": {"group": BACKEND.group, "kind": BACKEND.kind, "name": workload.name},
    }
    identity = workload_labels(workload)
    return object_of(AI_SERVICE_BACKEND, workload.namespace, workload.name, identity, spec=spec)


def prefix_of(workload: Workload) -> str:
    """The path before `/chat/completions` on the workload's server."""
    runtime = (workload.runtime or "").lower()
    for part, prefix in _PREFIX_BY_RUNTIME.items():
        if part in runtime:
            return prefix
    return _PREFIX_BY_FORMAT.get(workload.model_format.lower(), _DEFAULT_PREFIX)


def split_policy(route: Route) -> Manifest:
    """Have Envoy keep a cluster per variant, and with it statistics, retries and pools."""
    spec = {"targetRefs": [target_of(route.name)], **split()}
    identity = route_labels(route)
    return object_of(
        BACKEND_TRAFFIC_POLICY, route.namespace, policy_name(route), identity, spec=spec
    )


def target_of(route: str) -> Manifest:
    """The route, as a policy refers to it."""
    return {"group": HTTP_ROUTE.group, "kind": HTTP_ROUTE.kind, "name": route}


def split() -> Manifest:
    """What keeps a cluster per reference of the route.

    The zone does not exist: that weighted zones are asked for at all is what splits the cluster.
    """
    zones = {"weightedZones": [{"zone": "none", "weight": 1}]}
    return {"loadBalancer": {"type": "LeastRequest", "zoneAware": zones}}


def ai_gateway_route(
    route: Route, slots: Slots, gateway: Gateway, annotations: Mapping[str, str]
) -> Manifest:
    """Build the whole route: its rules are one atomic value to the API server."""
    spec = {"parentRefs": [gateway.parent], "rules": [_rule(route, slots, gateway)]}
    identity = route_labels(route)
    return object_of(
        AI_GATEWAY_ROUTE, route.namespace, route.name, identity, spec=spec, annotations=annotations
    )


def slots_of(found: Mapping[str, Any]) -> Slots:
    """The slots of an AIGatewayRoute or HTTPRoute: the backends of its first rule, by position."""
    first = next(iter(mappings(found, "spec", "rules")), {})
    return tuple(
        Slot(workload=text(ref, "name"), weight=_weight(ref))
        for ref in mappings(first, "backendRefs")
    )


def names_in(found: Mapping[str, Any] | None) -> frozenset[str]:
    """Every backend that any rule of a route names."""
    return frozenset(
        text(ref, "name")
        for rule in mappings(found, "spec", "rules")
        for ref in mappings(rule, "backendRefs")
    )


def _weight(ref: Mapping[str, Any]) -> int:
    weight = whole(ref, "weight")
    return _DEFAULT_WEIGHT if weight is None else weight


def _rule(route: Route, slots: Slots, gateway: Gateway) -> Manifest:
    header = {"type": "Exact", "name": MODEL_HEADER, "value": route.model}
    rule: Manifest = {
        "name": RULE,
        "matches": [{"headers": [header]}],
        "backendRefs": [_ref(slot) for slot in slots],
    }
    if gateway.request_timeout is not None:
        rule["timeouts"] = {"request": f"{gateway.request_timeout.total_seconds():.0f}s"}
    return rule


def _ref(slot: Slot) -> Manifest:
    # A KServe model server answers to the name of its InferenceService only.
    return {
        "name": slot.workload,
        "weight": slot.weight,
        "priority": 0,
        "modelNameOverride": slot.workload,
    }


def object_of(
    resource: Resource,
    namespace: str,
    name: str,
    identity: Mapping[str, str],
    *,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An object of ours, with the labels that say whose it is."""
    manifest: Manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(identity)},
        "spec": dict(spec),
    }
    if annotations is not None:
        manifest["metadata"]["annotations"] = dict(annotations)
    return manifest


def rules_of(manifest: Mapping[str, Any]) -> list[Any]:
    """The rules of a route, as they stand."""
    rules = mapping(manifest, "spec").get("rules")
    return rules if isinstance(rules, list) else []
