"""Whether the gateway has put a route in force, as far as its objects can tell.

The AIGatewayRoute's own status carries no generation, so an old `Accepted` looks like a new one.
What was made of it is asked instead: the HTTPRoute of the same name and what its parents say.
That Envoy serves by it is proven only by observed traffic.
"""

from collections.abc import Mapping
from typing import Any

from adapters.aigateway.manifests import READING
from adapters.gateways.manifests import Gateway
from adapters.gateways.statuses import parent_obstacle
from adapters.kubernetes.documents import conditions, is_leaving, mapping, text
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
    if READING.slots(http_route) != READING.slots(found):
        return f"HTTPRoute {name} still shows {_shown(READING.slots(http_route))}"
    if READING.extras(http_route) != READING.extras(found):
        return f"HTTPRoute {name} still shows other header routes"
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


def _shown(slots: Slots) -> str:
    return ", ".join(f"{slot.workload} {slot.weight} %" for slot in slots) or "no backends"
