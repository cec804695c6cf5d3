"""A workload as an InferenceService, and how to tell whether one that stands there is the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from adapters.kubernetes.documents import DOMAIN, Manifest, text, workload_labels
from adapters.kubernetes.resources import INFERENCE_SERVICE
from domain.workloads import Protocol, Workload

DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
MODELS = "/mnt/models"
SPEC_DIGEST = f"{DOMAIN}/spec-digest"


def inference_service(workload: Workload, replicas: int | None = None) -> Manifest:
    """Build the object. One replica at least: a cold start would count as errors and latency.

    The fingerprint is that of the model: a workload that is scaled is the same one.
    """
    spec = {"predictor": _predictor(workload)}
    fingerprint = digest(spec)
    if replicas is not None:
        spec["predictor"]["minReplicas"] = replicas
    return {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.kind,
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "labels": workload_labels(workload),
            "annotations": {DEPLOYMENT_MODE: "Standard", SPEC_DIGEST: fingerprint},
        },
        "spec": spec,
    }


def _predictor(workload: Workload) -> Manifest:
    """Say where the model lies. KServe takes one URI at the model, or several at the predictor."""
    model: Manifest = {"modelFormat": {"name": workload.model_format}}
    if workload.protocol is not Protocol.OPENAI:
        # The same name for each variant: it is part of the path that clients call. The runtime's
        # own comes first, and of several the last one counts.
        model["protocolVersion"] = workload.protocol.value
        model["args"] = [f"--model_name={workload.served_as}"]
    if workload.runtime is not None:
        model["runtime"] = workload.runtime
    if not workload.artefacts:
        return {"minReplicas": 1, "model": {**model, "storageUri": workload.uri}}
    # Absolute paths, each once, under a parent of their own: KServe refuses anything else.
    places = [
        {"uri": artefact.uri, "mountPath": f"{MODELS}/{artefact.mount}"}
        for artefact in workload.artefacts
    ]
    return {"minReplicas": 1, "model": model, "storageUris": places}


def digest(spec: Mapping[str, Any]) -> str:
    """Fingerprint what we ask for: KServe fills in defaults, so specs themselves do not compare."""
    canonical = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_of(found: Mapping[str, Any]) -> str:
    """The fingerprint that an object was written with."""
    return text(found, "metadata", "annotations", SPEC_DIGEST)
