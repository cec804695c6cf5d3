"""What Envoy AI Gateway makes of an AIGatewayRoute: one HTTPRoute. Pure; `ai_gateway.py` acts.

Left out: ReferenceGrants are not asked for, InferencePools are not known, and the
HTTPRouteFilters that a rule refers to are not created (the Envoy side knows what they mean).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.resources import AI_ROUTES

NOT_FOUND_RULE = "route-not-found"

_GATEWAY_GROUP = "gateway.envoyproxy.io"
_DEFAULT_TIMEOUT = "60s"
# The Gateway API's limits, which are stricter than those of an AIGatewayRoute.
_MOST_RULES = 16
_MOST_REFS = 16
_EVERY_PATH = {"type": "PathPrefix", "value": "/"}

FindBackend = Callable[[Key], Object | None]
"""Finds an AIServiceBackend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What an AIGatewayRoute says of a backendRef that its HTTPRoute cannot carry."""

    model_override: str = ""
    priority: int = 0


class Unacceptable(Exception):
    """The route cannot be put in force as it is; what was in force stays."""


def http_route(route: Object, find_backend: FindBackend) -> Object:
    """The HTTPRoute of an AIGatewayRoute. Raises Unacceptable."""
    key, spec = Key.of(route), route["spec"]
    rules = [_rule(key, rule, find_backend) for rule in spec.get("rules", [])]
    rules.append(_not_found_rule(key))
    if len(rules) > _MOST_RULES:
        raise Unacceptable(f"an HTTPRoute has at most {_MOST_RULES} rules, one of them ours")
    metadata = {
        "namespace": key.namespace,
        "name": key.name,
        "labels": route["metadata"].get("labels", {}),
        "annotations": route["metadata"].get("annotations", {}),
        "ownerReferences": [_owner(route)],
    }
    wanted = {"parentRefs": spec.get("parentRefs", []), "rules": rules}
    if spec.get("hostnames"):
        wanted["hostnames"] = spec["hostnames"]
    return {"metadata": metadata, "spec": wanted}


def extras(route: Object) -> dict[tuple[int, int], Extra]:
    """By rule and reference position."""
    return {
        (i, j): Extra(
            model_override=ref.get("modelNameOverride") or "", priority=ref.get("priority") or 0
        )
        for i, rule in enumerate(route["spec"].get("rules", []))
        for j, ref in enumerate(rule.get("backendRefs", []))
    }


def backend_keys(route: Object) -> set[Key]:
    """The AIServiceBackends that a route names."""
    namespace = Key.of(route).namespace
    return {
        Key(ref.get("namespace") or namespace, ref["name"])
        for rule in route["spec"].get("rules", [])
        for ref in rule.get("backendRefs", [])
    }


def _rule(route: Key, rule: Object, find_backend: FindBackend) -> Object:
    refs = rule.get("backendRefs", [])
    if len(refs) > _MOST_REFS:
        raise Unacceptable(f"an HTTPRoute rule has at most {_MOST_REFS} backendRefs")
    matches = [
        {"path": _EVERY_PATH, "headers": _headers(match)} for match in rule.get("matches") or [{}]
    ]
    wanted: Object = {
        "matches": matches,
        "backendRefs": [_backend_ref(route, ref, find_backend) for ref in refs],
        "filters": [_filter_ref(f"ai-eg-host-rewrite-{route.name}")],
        "timeouts": {"request": _DEFAULT_TIMEOUT, **(rule.get("timeouts") or {})},
    }
    if rule.get("name"):
        wanted["name"] = rule["name"]
    return wanted


def _headers(match: Object) -> list[Object]:
    """One pattern that Envoy cannot read would have it refuse the table of all routes."""
    headers: list[Object] = match.get("headers") or []
    for header in headers:
        if header.get("type") == "RegularExpression":
            try:
                re.compile(header["value"])
            except re.error as error:
                raise Unacceptable(f"{header['value']!r} is no pattern: {error}") from error
    return headers


def _backend_ref(route: Key, ref: Object, find_backend: FindBackend) -> Object:
    key = Key(ref.get("namespace") or route.namespace, ref["name"])
    if ref.get("kind", "AIServiceBackend") != "AIServiceBackend":
        raise Unacceptable(f"{ref['kind']} {key.name}: this sandbox knows AIServiceBackends only")
    backend = find_backend(key)
    if backend is None:
        raise Unacceptable(f"AIServiceBackend {key.name}.{key.namespace} not found")
    target = backend["spec"]["backendRef"]
    return {
        "group": _GATEWAY_GROUP,
        "kind": "Backend",
        "name": target["name"],
        "namespace": target.get("namespace") or key.namespace,
        "weight": ref.get("weight", 1),
    }


def _not_found_rule(route: Key) -> Object:
    return {
        "name": NOT_FOUND_RULE,
        "matches": [{"path": _EVERY_PATH}],
        "filters": [_filter_ref(f"ai-eg-route-not-found-response-{route.name}")],
    }


def _filter_ref(name: str) -> Object:
    reference = {"group": _GATEWAY_GROUP, "kind": "HTTPRouteFilter", "name": name}
    return {"type": "ExtensionRef", "extensionRef": reference}


def _owner(route: Object) -> Object:
    return {
        "apiVersion": AI_ROUTES.api_version,
        "kind": AI_ROUTES.kind,
        "name": route["metadata"]["name"],
        "uid": route["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
