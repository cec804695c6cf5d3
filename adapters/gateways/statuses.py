"""Whether the gateway has taken a route or a policy, by what their statuses say."""

from collections.abc import Mapping
from typing import Any

from adapters.gateways.manifests import Gateway
from adapters.kubernetes.documents import conditions, mappings, text, whole


def parent_obstacle(http_route: Mapping[str, Any], gateway: Gateway) -> str:
    """Say what keeps an HTTPRoute from being in force; empty when it is."""
    name = text(http_route, "metadata", "name")
    generation = whole(http_route, "metadata", "generation")
    parents = [
        parent
        for parent in mappings(http_route, "status", "parents")
        if text(parent, "parentRef", "name") == gateway.name
    ]
    if not parents:
        return f"Gateway {gateway.name} has not taken HTTPRoute {name} yet"
    for parent in parents:
        stated = conditions(parent)
        for wanted in ("Accepted", "ResolvedRefs"):
            condition = stated.get(wanted)
            if condition is None or condition.observed_generation != generation:
                return f"Gateway {gateway.name} has not seen this HTTPRoute {name} yet ({wanted})"
            if not condition.holds:
                return f"HTTPRoute {name} is not in force: {wanted} is false: {condition}"
    return ""


def policy_obstacle(policy: Mapping[str, Any], gateway: Gateway) -> str:
    """Say what keeps a BackendTrafficPolicy from being in force; empty when it is."""
    name = text(policy, "metadata", "name")
    generation = whole(policy, "metadata", "generation")
    for ancestor in mappings(policy, "status", "ancestors"):
        accepted = conditions(ancestor).get("Accepted")
        if text(ancestor, "ancestorRef", "name") != gateway.name or accepted is None:
            continue
        if accepted.observed_generation != generation:
            break
        return "" if accepted.holds else f"BackendTrafficPolicy {name} is refused: {accepted}"
    return f"Gateway {gateway.name} has not taken BackendTrafficPolicy {name} yet"
