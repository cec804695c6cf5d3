"""The objects that make up a route, as we write them and as we read them back."""

from collections.abc import Iterable, Mapping

from adapters.gateways.manifests import (
    MAIN_RULE,
    Gateway,
    Reading,
    header_match,
    object_of,
    service_of,
)
from adapters.kubernetes.documents import Manifest, route_labels, workload_labels
from adapters.kubernetes.resources import AI_GATEWAY_ROUTE, AI_SERVICE_BACKEND, BACKEND
from domain.traffic import FULL, NO_EXTRAS, Extras, HeaderMatch, Route, Slot, Slots
from domain.workloads import Workload

MODEL_HEADER = "x-ai-eg-model"
READING = Reading(workload_of=str, own_headers=frozenset({MODEL_HEADER}))
_DEFAULT_PREFIX = "v1"
# Under which path a model server speaks OpenAI's protocol; the runtime says more than the format.
_PREFIX_BY_RUNTIME = {"huggingfaceserver": "openai/v1", "vllmserver": "v1"}
_PREFIX_BY_FORMAT = {"huggingface": "openai/v1"}


def backend(workload: Workload, port: int) -> Manifest:
    host = f"{service_of(workload.name)}.{workload.namespace}.svc.cluster.local"
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


def ai_gateway_route(
    route: Route,
    slots: Slots,
    gateway: Gateway,
    annotations: Mapping[str, str],
    extras: Extras = NO_EXTRAS,
) -> Manifest:
    """Build the whole route: its rules are one atomic value to the API server.

    The split comes first and the header routes behind it, whatever the order of matching: what the
    gateway counts goes by position.
    """
    rules = [_rule(route, gateway, MAIN_RULE, [_ref(slot) for slot in slots])]
    for one in extras.header_routes:
        refs = [_ref(Slot(workload=one.workload, weight=FULL))]
        rules.append(_rule(route, gateway, one.name, refs, one.headers))
    spec = {"parentRefs": [gateway.parent], "rules": rules}
    identity = route_labels(route)
    return object_of(
        AI_GATEWAY_ROUTE, route.namespace, route.name, identity, spec=spec, annotations=annotations
    )


def _rule(
    route: Route,
    gateway: Gateway,
    name: str,
    refs: list[Manifest],
    headers: Iterable[HeaderMatch] = (),
) -> Manifest:
    of_model = HeaderMatch(name=MODEL_HEADER, value=route.model)
    rule: Manifest = {
        "name": name,
        "matches": [{"headers": [header_match(header) for header in (of_model, *headers)]}],
        "backendRefs": refs,
    }
    return {**rule, **gateway.timeouts}


def _ref(slot: Slot) -> Manifest:
    # A KServe model server answers to the name of its InferenceService only.
    return {
        "name": slot.workload,
        "weight": slot.weight,
        "priority": 0,
        "modelNameOverride": slot.workload,
    }
