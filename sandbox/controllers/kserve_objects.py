"""What others see of an InferenceService: its Service, endpoints and scrape target. Pure."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.endpoints import SERVICE_LABEL
from sandbox.controllers.model_process import Launch
from sandbox.controllers.resources import INFERENCE_SERVICES
from sandbox.layout import HOST

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
STOP_ANNOTATION = "serving.kserve.io/stop"

_STANDARD_MODES = frozenset({"Standard", "RawDeployment"})
_PORT_NAME = "http"
_CONTAINER_PORT = 8080
_MOST_REPLICAS = 8  # each is a process, on somebody's laptop


class InvalidService(Exception):
    """No model server can be made from this spec, here at least."""


def launches_of(service: Object) -> tuple[Launch, ...]:
    """What to run for an InferenceService, a launch for each replica. Raises InvalidService."""
    first = _launch_of(service)
    # As in Standard mode without KEDA: one at least, and nothing scales by load here.
    replicas = max(1, service["spec"]["predictor"].get("minReplicas") or 0)
    if replicas > _MOST_REPLICAS:
        raise InvalidService(f"this sandbox runs {_MOST_REPLICAS} replicas at most, not {replicas}")
    return tuple(replace(first, replica=number) for number in range(replicas))


def _launch_of(service: Object) -> Launch:
    key = Key.of(service)
    annotations = service["metadata"].get("annotations") or {}
    mode = annotations.get(MODE_ANNOTATION, "Standard")
    if mode not in _STANDARD_MODES:
        raise InvalidService(f"this sandbox plays deployment mode Standard only, not {mode}")
    predictor = (service.get("spec") or {}).get("predictor") or {}
    model = predictor.get("model")
    if not model:
        raise InvalidService("spec.predictor.model is missing")
    places = predictor.get("storageUris") or []
    if bool(model.get("storageUri")) == bool(places):
        raise InvalidService("one of spec.predictor.model.storageUri and storageUris is needed")
    first, *others = _mounted(places) or [("", model.get("storageUri"))]
    return Launch(
        namespace=key.namespace,
        name=key.name,
        uid=service["metadata"]["uid"],
        uri=first[1],
        mount=first[0],
        others=tuple(others),
        served_as=_served_as(model.get("args") or []),
    )


def _served_as(arguments: Sequence[str]) -> str:
    """The last `--model_name` counts: the runtime's own comes first."""
    named = [one.partition("=")[2] for one in arguments if one.startswith("--model_name=")]
    return named[-1] if named else ""


def _mounted(places: Sequence[Object]) -> list[tuple[str, str]]:
    """The last part of each mount path with its URI. Holds them to the rules of KServe's webhook.

    It lets two of them share a path, of which the later download hides the earlier: not here.
    """
    paths = [PurePosixPath(place.get("mountPath") or "/mnt/models") for place in places]
    for path, place in zip(paths, places, strict=True):
        if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
            raise InvalidService(f"storageUris: {path} must be absolute, without '..', and no root")
        if not place.get("uri"):
            raise InvalidService("storageUris: a uri is empty")
    if len(set(paths)) < len(paths):
        raise InvalidService("storageUris: two share one mountPath")
    if len(paths) > 1 and os.path.commonpath(paths) == "/":
        raise InvalidService("storageUris: the paths have no common parent beyond the root")
    return [(path.name, place["uri"]) for path, place in zip(paths, places, strict=True)]


def is_stopped(service: Object) -> bool:
    annotations = service["metadata"].get("annotations") or {}
    return str(annotations.get(STOP_ANNOTATION, "")).lower() == "true"


def predictor_name(service: Object) -> str:
    """The name of the Service; a named predictor's name is part of it."""
    predictor = (service.get("spec") or {}).get("predictor") or {}
    parts = [service["metadata"]["name"], predictor.get("name"), "predictor"]
    return "-".join(part for part in parts if part)


def predictor_service(service: Object) -> Object:
    key, name = Key.of(service), predictor_name(service)
    port = {"name": _PORT_NAME, "protocol": "TCP", "port": 80, "targetPort": _CONTAINER_PORT}
    return {
        "metadata": {
            "namespace": key.namespace,
            "name": name,
            "labels": _labels(key.name),
            "ownerReferences": [_owner(service)],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": f"isvc.{name}"},
            "ports": [port],
        },
    }


def slice_key(service: Object, replica: int) -> Key:
    """Of a replica's EndpointSlice: all endpoints of one share a port, and here no two do."""
    name = predictor_name(service)
    return Key(service["metadata"]["namespace"], f"{name}-{replica}" if replica else name)


def is_slice_of(service: Object, key: Key) -> bool:
    """Whether an EndpointSlice of this key is one of the service's replicas."""
    first = slice_key(service, 0)
    name, _, number = key.name.rpartition("-")
    is_later = name == first.name and number.isdecimal()
    return key.namespace == first.namespace and (key.name == first.name or is_later)


def endpoint_slice(service: Object, replica: int, port: int, *, ready: bool) -> Object:
    """The endpoint of one replica; it stays listed while not ready, as a pod's does."""
    key, name = slice_key(service, replica), predictor_name(service)
    conditions = {"ready": ready, "serving": ready, "terminating": False}
    return {
        "metadata": {
            "namespace": key.namespace,
            "name": key.name,
            "labels": {
                SERVICE_LABEL: name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [_owner(service)],
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [HOST], "conditions": conditions}],
        "ports": [{"name": _PORT_NAME, "protocol": "TCP", "port": port}],
    }


def scrape_target(service: Object, ports: Sequence[int]) -> list[Object]:
    """A file_sd entry of all replicas with the labels that a pod's scrape configuration gives."""
    key = Key.of(service)
    labels = {
        "namespace": key.namespace,
        "inferenceservice": key.name,
        "component": "predictor",
        "app": f"isvc.{predictor_name(service)}",
    }
    return [{"targets": [f"{HOST}:{port}" for port in ports], "labels": labels}]


def _labels(name: str) -> dict[str, str]:
    return {"serving.kserve.io/inferenceservice": name, "component": "predictor"}


def _owner(service: Object) -> Object:
    return {
        "apiVersion": INFERENCE_SERVICES.api_version,
        "kind": INFERENCE_SERVICES.kind,
        "name": service["metadata"]["name"],
        "uid": service["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
