"""What others see of an InferenceService: its Service, endpoints and scrape target. Pure."""

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


class InvalidService(Exception):
    """No model server can be made from this spec, here at least."""


def launch_of(service: Object) -> Launch:
    """What to run for an InferenceService. Raises InvalidService."""
    key = Key.of(service)
    annotations = service["metadata"].get("annotations") or {}
    mode = annotations.get(MODE_ANNOTATION, "Standard")
    if mode not in _STANDARD_MODES:
        raise InvalidService(f"this sandbox plays deployment mode Standard only, not {mode}")
    model = ((service.get("spec") or {}).get("predictor") or {}).get("model")
    if not model:
        raise InvalidService("spec.predictor.model is missing")
    if not model.get("storageUri"):
        raise InvalidService("spec.predictor.model.storageUri is missing")
    return Launch(
        namespace=key.namespace,
        name=key.name,
        uid=service["metadata"]["uid"],
        uri=model["storageUri"],
    )


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


def endpoint_slice(service: Object, port: int, *, ready: bool) -> Object:
    """The one endpoint; it stays listed while not ready, as a pod's does."""
    key, name = Key.of(service), predictor_name(service)
    conditions = {"ready": ready, "serving": ready, "terminating": False}
    return {
        "metadata": {
            "namespace": key.namespace,
            "name": name,
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


def scrape_target(service: Object, port: int) -> list[Object]:
    """A file_sd entry with the labels that a pod's scrape configuration would give."""
    key = Key.of(service)
    labels = {
        "namespace": key.namespace,
        "inferenceservice": key.name,
        "component": "predictor",
        "app": f"isvc.{predictor_name(service)}",
    }
    return [{"targets": [f"{HOST}:{port}"], "labels": labels}]


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
