"""The objects that make up a virtual model's route, as we write them and as we read them back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.aigateway.manifests import MODEL_HEADER
from adapters.gateways.manifests import MAIN_RULE, Gateway, object_of, split, target_of
from adapters.kubernetes.documents import (
    Manifest,
    mapping,
    mappings,
    text,
    virtual_route_labels,
    whole,
)
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    BACKEND_TRAFFIC_POLICY,
    Resource,
)
from domain.virtual_models import VirtualRoute
from domain.virtual_routes import Layout, Ref

# What the gateway allows a request where the route says nothing.
DEFAULT_TIMEOUT = timedelta(seconds=60)
# Another provider may do better at these; what the client did wrong it would refuse as well.
RETRIED_STATUS_CODES = [429, 500, 502, 503, 504]
RETRY_TRIGGERS = ["connect-failure", "refused-stream", "reset", "retriable-status-codes"]


def policy_name(route: VirtualRoute) -> str:
    return f"policy-{route.name}"


def virtual_gateway_route(
    route: VirtualRoute, layout: Layout, gateway: Gateway, annotations: Mapping[str, str]
) -> Manifest:
    """Build the whole route: its rules are one atomic value to the API server."""
    header = {"type": "Exact", "name": MODEL_HEADER, "value": route.model}
    rule: Manifest = {
        "name": MAIN_RULE,
        "matches": [{"headers": [header]}],
        "backendRefs": [_manifest_of(ref) for ref in layout.refs],
    }
    if gateway.request_timeout is not None:
        rule["timeouts"] = {"request": f"{gateway.request_timeout.total_seconds():.0f}s"}
    spec = {"parentRefs": [gateway.parent], "rules": [rule]}
    return _object(AI_GATEWAY_ROUTE, route, route.name, spec, annotations)


def policy(
    route: VirtualRoute, layout: Layout, gateway: Gateway, annotations: Mapping[str, str]
) -> Manifest:
    """How the gateway deals with failures.

    With several levels: each is tried once, within its part of the request's time, or the first
    one to hang would use up the time of all. With one: a cluster per reference, so that each has
    statistics of its own and, at an IP address too, its own model name. The two exclude each
    other, for a retry cannot change from one cluster to another.
    """
    how = _fallback(layout, gateway) if layout.levels > 1 else split()
    spec = {"targetRefs": [target_of(route.name)], **how}
    return _object(BACKEND_TRAFFIC_POLICY, route, policy_name(route), spec, annotations)


def layout_in(found: Mapping[str, Any], its_policy: Mapping[str, Any] | None) -> Layout:
    """What a route and its policy say, by position."""
    rule = next(iter(mappings(found, "spec", "rules")), {})
    refs = tuple(
        Ref(
            name=text(ref, "name"),
            namespace=text(ref, "namespace") or text(found, "metadata", "namespace"),
            model_name_override=text(ref, "modelNameOverride") or None,
            weight=_or(whole(ref, "weight"), 1),
            priority=_or(whole(ref, "priority"), 0),
        )
        for ref in mappings(rule, "backendRefs")
    )
    retries = whole(mapping(its_policy, "spec", "retry"), "numRetries") or 0
    return Layout(refs=refs, levels=1 + retries)


def model_in(found: Mapping[str, Any]) -> str:
    """The model name that a route is for."""
    rule = next(iter(mappings(found, "spec", "rules")), {})
    match = next(iter(mappings(rule, "matches")), {})
    return next(
        (text(h, "value") for h in mappings(match, "headers") if text(h, "name") == MODEL_HEADER),
        "",
    )


def _manifest_of(ref: Ref) -> Manifest:
    manifest: Manifest = {
        "name": ref.name,
        "namespace": ref.namespace,
        "weight": ref.weight,
        "priority": ref.priority,
    }
    if ref.model_name_override is not None:
        manifest["modelNameOverride"] = ref.model_name_override
    return manifest


def _fallback(layout: Layout, gateway: Gateway) -> Manifest:
    whole_time = gateway.request_timeout or DEFAULT_TIMEOUT
    return {
        "retry": {
            "numRetries": layout.levels - 1,
            "numAttemptsPerPriority": 1,
            "perRetry": {"timeout": _duration(whole_time / layout.levels)},
            "retryOn": {"httpStatusCodes": RETRIED_STATUS_CODES, "triggers": RETRY_TRIGGERS},
        }
    }


def _duration(span: timedelta) -> str:
    """As the Gateway API writes it, to the millisecond: no number of it may have six digits."""
    seconds, rest = divmod(max(span, timedelta(milliseconds=1)), timedelta(seconds=1))
    milliseconds = rest // timedelta(milliseconds=1)
    return f"{seconds}s{milliseconds}ms" if milliseconds else f"{seconds}s"


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _object(
    resource: Resource,
    route: VirtualRoute,
    name: str,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str],
) -> Manifest:
    identity = virtual_route_labels(route)
    return object_of(resource, route.namespace, name, identity, spec=spec, annotations=annotations)
