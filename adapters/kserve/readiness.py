"""How an InferenceService is doing, judged from its status alone.

KServe says the same for a slow download and for a stuck one: the deadline is the caller's. Its
`lastFailureInfo` is never cleared and so proves nothing by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.kubernetes.documents import (
    conditions,
    is_leaving,
    mapping,
    moment,
    text,
    whole,
)
from domain.workloads import WorkloadPhase, WorkloadStatus

PREDICTOR_READY = "PredictorReady"
READY = "Ready"
_LOAD_FAILED = "BlockedByFailedLoad"
_INVALID_SPEC = "InvalidSpec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What counts as ready, and how long an invalid spec may stay so.

    `condition` is PredictorReady unless KServe's own ingress is in use and must be up as well:
    then Ready. An InvalidSpec may heal, when the runtime that it names is created a little later.
    """

    condition: str = PREDICTOR_READY
    invalid_spec_grace: timedelta = timedelta(seconds=30)

    def judge(
        self, found: Mapping[str, Any] | None, now: datetime, replicas: int | None = None
    ) -> WorkloadStatus:
        if found is None:
            return _missing("there is no such InferenceService")
        if is_leaving(found):
            return _missing("the InferenceService is being deleted")
        status = mapping(found, "status")
        ready = conditions(status).get(self.condition)
        lacking = _lacking(status, replicas)
        if ready is not None and ready.holds and not lacking:
            return WorkloadStatus(phase=WorkloadPhase.READY)
        if reason := self._failed_for_good(found, now):
            return WorkloadStatus(phase=WorkloadPhase.FAILED, reason=reason)
        reason = lacking or self._waiting_for(status)
        return WorkloadStatus(phase=WorkloadPhase.LOADING, reason=reason)

    def _failed_for_good(self, found: Mapping[str, Any], now: datetime) -> str:
        status = mapping(found, "status")
        transition = text(status, "modelStatus", "transitionStatus")
        target = text(status, "modelStatus", "states", "targetModelState")
        if target == "FailedToLoad" or transition == _LOAD_FAILED:
            return _failure(status) or "the model failed to load"
        if transition == _INVALID_SPEC and self._grace_is_over(found, now):
            return _failure(status) or "KServe calls the spec invalid"
        stalled = conditions(status).get(PREDICTOR_READY)
        if stalled is not None and stalled.reason == "ProgressDeadlineExceeded":
            return f"the deployment made no progress: {stalled}"
        return ""

    def _grace_is_over(self, found: Mapping[str, Any], now: datetime) -> bool:
        # Our objects are never edited, so the spec is as old as the object.
        created = moment(text(found, "metadata", "creationTimestamp"))
        return created is not None and now - created > self.invalid_spec_grace

    def _waiting_for(self, status: Mapping[str, Any]) -> str:
        transition = text(status, "modelStatus", "transitionStatus")
        if transition == _INVALID_SPEC:
            return _failure(status) or "KServe calls the spec invalid"
        ready = conditions(status).get(self.condition)
        if ready is not None and (ready.message or ready.reason):
            return f"{self.condition}: {ready}"
        loading = text(status, "modelStatus", "states", "targetModelState") or transition
        return f"KServe says {loading}" if loading else "KServe has not reported yet"


def _lacking(status: Mapping[str, Any], replicas: int | None) -> str:
    """Say how many replicas have joined where more are asked for.

    A condition cannot say it: it may be of the time before the scaling, and as a Deployment is
    available, a quarter of the replicas may be missing. What KServe calls `totalCopies` is the
    number of those that are ready (since 0.16; before, of all pods), and left out when it is zero.
    In Knative mode, which we do not deploy in, it is that of the newest revision.
    """
    joined = whole(status, "modelStatus", "copies", "totalCopies") or 0
    if replicas is None or joined >= replicas:
        return ""
    return f"{joined} of {replicas} replicas are ready"


def _failure(status: Mapping[str, Any]) -> str:
    info = mapping(status, "modelStatus", "lastFailureInfo")
    return ": ".join(part for part in (text(info, "reason"), text(info, "message")) if part)


def _missing(reason: str) -> WorkloadStatus:
    return WorkloadStatus(phase=WorkloadPhase.MISSING, reason=reason)
