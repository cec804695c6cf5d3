"""The HTTPRoute of a traffic config of predictive models."""

from collections.abc import Iterable, Mapping

from adapters.gateways.manifests import (
    MAIN_RULE,
    Gateway,
    Reading,
    header_match,
    object_of,
    service_of,
    workload_of,
)
from adapters.kubernetes.documents import Manifest, route_labels
from adapters.kubernetes.resources import HTTP_ROUTE
from domain.traffic import FULL, Extras, HeaderMatch, Route, Slots
from domain.workloads import Protocol

READING = Reading(workload_of=workload_of)
# What Envoy AI Gateway allows; where a plain route says nothing, Envoy ends a request after 15 s.
_TIMEOUTS = {"timeouts": {"request": "60s"}}


def http_route(
    route: Route,
    slots: Slots,
    extras: Extras,
    gateway: Gateway,
    *,
    ports: Mapping[str, int],
    annotations: Mapping[str, str],
) -> Manifest:
    """Build the whole route. `ports` holds the port of each workload's Service.

    The split comes first and the header routes behind it, whatever the order of matching: what the
    gateway counts goes by position.
    """
    split = _rule(route, gateway, MAIN_RULE, [_ref(s.workload, s.weight, ports) for s in slots])
    if extras.mirrors:
        split["filters"] = [
            {
                "type": "RequestMirror",
                "requestMirror": {
                    "backendRef": _target(mirror.workload, ports),
                    "percent": mirror.percent,
                },
            }
            for mirror in extras.mirrors
        ]
    rules = [split]
    for one in extras.header_routes:
        refs = [_ref(one.workload, FULL, ports)]
        rules.append(_rule(route, gateway, one.name, refs, one.headers))
    return object_of(
        HTTP_ROUTE,
        route.namespace,
        route.name,
        route_labels(route),
        spec={"parentRefs": [gateway.parent], "rules": rules},
        annotations=annotations,
    )


def paths_of(route: Route) -> list[Manifest]:
    """Where clients find the model, as its protocol has it.

    Version 1 glues the verb to the name, so that a prefix, which goes by whole elements, would not
    match it; a pattern would, but how it is read differs from gateway to gateway.
    """
    if route.protocol is Protocol.V1:
        name = f"/v1/models/{route.model}"
        return [
            {"type": "Exact", "value": f"{name}{verb}"} for verb in ("", ":predict", ":explain")
        ]
    return [{"type": "PathPrefix", "value": f"/v2/models/{route.model}"}]


def _rule(
    route: Route,
    gateway: Gateway,
    name: str,
    refs: list[Manifest],
    headers: Iterable[HeaderMatch] = (),
) -> Manifest:
    asked = {"headers": matched} if (matched := [header_match(one) for one in headers]) else {}
    matches = [{"path": path, **asked} for path in paths_of(route)]
    timeouts = gateway.timeouts or _TIMEOUTS
    return {"name": name, "matches": matches, "backendRefs": refs, **timeouts}


def _ref(workload: str, weight: int, ports: Mapping[str, int]) -> Manifest:
    return {**_target(workload, ports), "weight": weight}


def _target(workload: str, ports: Mapping[str, int]) -> Manifest:
    return {"group": "", "kind": "Service", "name": service_of(workload), "port": ports[workload]}
