"""Whether the gateway has put a route in force, as far as its objects can tell.

The AIGatewayRoute's own status carries no generation, so an old `Accepted` looks like a new one.
What was made of it is asked instead: the HTTPRoute of the same name and what its parents say.
That Envoy serves by it is proven only by observed traffic.
"""

from collections.abc import Mapping
from typing import Any

from adapters.aigateway.manifests import Gateway, slots_of
from adapters.kubernetes.documents import conditions, is_leaving, mapping, mappings, text, whole
from domain.traffic import Slots

_VERDICTS = ("Accepted", "NotAccepted")


def obstacle(
    found: Mapping[str, Any], http_route: Mapping[str, Any] | None, gateway: Gateway
) -> str:
    """Say in a sentence what is not in force yet; empty when all is."""
    name = text(found, "metadata", "name")
    if is_leaving(found):
        return f"AIGatewayRoute {name} is being deleted"
    if not_accepted := refusal(found):
        return f"AIGatewayRoute {name} is not accepted: {not_accepted}"
    if http_route is None:
        return f"HTTPRoute {name} is not there yet"
    if slots_of(http_route) != slots_of(found):
        return f"HTTPRoute {name} still shows {_shown(slots_of(http_route))}"
    return parent_obstacle(http_route, gateway)


def is_judged(found: Mapping[str, Any]) -> bool:
    """Whether the controller has said yes or no to an AIGatewayRoute or AIServiceBackend."""
    return not conditions(mapping(found, "status")).keys().isdisjoint(_VERDICTS)


def refusal(found: Mapping[str, Any]) -> str:
    """Say why an AIGatewayRoute or AIServiceBackend is not accepted; empty when it is.

    Its refusal is a condition of another type, not an `Accepted` that is False.
    """
    stated = conditions(mapping(found, "status"))
    if "NotAccepted" in stated:
        return str(stated["NotAccepted"])
    accepted = stated.get("Accepted")
    if accepted is None:
        return "its controller has not answered yet"
    return "" if accepted.holds else str(accepted)


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


def _shown(slots: Slots) -> str:
    return ", ".join(f"{slot.workload} {slot.weight} %" for slot in slots) or "no backends"
