"""Why a workload is not up yet, from its pods: KServe does not see a missing image or a full node.

Only ever a reason to show. Whether a workload has failed is decided by `readiness` and deadlines.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.kubernetes.documents import conditions, mapping, mappings, text
from domain.workloads import Workload

# What every pod goes through is no trouble.
_USUAL = frozenset({"", "ContainerCreating", "PodInitializing"})


def selector(workload: Workload) -> dict[str, str]:
    """The labels that KServe gives to the pods of a workload."""
    return {"app": f"isvc.{workload.name}-predictor"}


def trouble(pods: Sequence[Mapping[str, Any]]) -> str:
    """The first thing that keeps a pod from running, in Kubernetes' words; empty when nothing."""
    return next((said for pod in pods for said in _troubles(pod)), "")


def _troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    status = mapping(pod, "status")
    scheduled = conditions(status).get("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        yield f"{scheduled.reason}: {scheduled}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in mappings(status, kind):
            waiting = mapping(container, "state", "waiting")
            if text(waiting, "reason") not in _USUAL:
                yield _said(container, waiting)
            ended = mapping(container, "lastState", "terminated")
            if text(ended, "reason") not in {"", "Completed"}:
                yield _said(container, ended)


def _said(container: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    message = text(state, "message")
    reason = f"container {text(container, 'name')}: {text(state, 'reason')}"
    return f"{reason}: {message}" if message else reason
