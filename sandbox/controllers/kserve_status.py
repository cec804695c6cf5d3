"""The status that KServe writes into an InferenceService (Standard mode, v0.20). Pure.

Kept as there, though it may surprise: `observedGeneration` is the Deployment's and not the
object's, `lastFailureInfo` stays after a recovery, and a model that crash-loops keeps the state
FailedToLoad while its next attempt loads.
"""

from collections.abc import Sequence

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.model_servers import State, View
from sandbox.controllers.objects import condition, timestamp
from sandbox.layout import HOST

_UNAVAILABLE = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
_DOMAIN = "example.com"


class _Outcome:
    """The status and reason of one condition."""

    def __init__(self, holds: bool, reason: str = "", message: str = "") -> None:
        self.status = "True" if holds else "False"
        details = {"reason": reason, "message": message}
        self.details = {} if holds else {name: text for name, text in details.items() if text}


def serving_status(service: Object, views: Sequence[View], predictor: str) -> Object:
    """The status while model servers should run, with how each replica is doing.

    Ready as a Deployment is available: all but a quarter of the replicas, rounded down, are up.
    """
    up = sum(view.state is State.READY for view in views)
    ready = up >= len(views) - len(views) // 4
    outcomes = {
        "PredictorReady": _Outcome(ready, *_UNAVAILABLE),
        "IngressReady": _Outcome(ready, "Predictor ingress not created"),
        "Ready": _Outcome(ready, *_UNAVAILABLE),
        "Stopped": _Outcome(False),
    }
    key = Key.of(service)
    status: Object = {
        **_frame(service, outcomes),
        "modelStatus": _model_status(service, _told_of(views, ready=ready), up),
        "components": {"predictor": {}},
    }
    if ready:
        external = f"http://{key.name}-{key.namespace}.{_DOMAIN}"
        status["url"] = external
        status["components"] = {
            "predictor": {"url": f"http://{predictor}-{key.namespace}.{_DOMAIN}"}
        }
    # As in a cluster, the address stays known once the service has been ready. There it is a name;
    # nobody resolves names here, so it is where the first ready model server listens.
    known = (service.get("status") or {}).get("address")
    first = next((view for view in views if view.state is State.READY and view.port), None)
    if first is not None and (ready or known):
        status["address"] = {"url": f"http://{HOST}:{first.port}"}
    elif known:
        status["address"] = known
    return status


def _told_of(views: Sequence[View], *, ready: bool) -> View:
    """The replica that stands for all: KServe looks at one pod."""
    return next(view for view in views if (view.state is State.READY) is ready)


def stopped_status(service: Object) -> Object:
    """The status under the annotation serving.kserve.io/stop."""
    outcomes = {
        "PredictorReady": _Outcome(False, "Stopped"),
        "IngressReady": _Outcome(False, "Stopped"),
        "Ready": _Outcome(False, "Stopped"),
        "Stopped": _Outcome(True),
    }
    copies = {"failedCopies": 0, "totalCopies": 0}
    known = (service.get("status") or {}).get("modelStatus") or {}
    return {**_frame(service, outcomes), "modelStatus": {**known, "copies": copies}}


def invalid_status(service: Object, message: str) -> Object:
    """The status of a spec from which no model server can be made."""
    reason = "InvalidPredictorSpec"
    outcomes = {
        "PredictorReady": _Outcome(False, reason, message),
        "IngressReady": _Outcome(False, "Predictor ingress not created"),
        "Ready": _Outcome(False, reason, message),
    }
    failure = {"reason": reason, "message": message}
    model_status = {
        "transitionStatus": "InvalidSpec",
        "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
        "lastFailureInfo": _dated(service, failure),
    }
    return {**_frame(service, outcomes), "modelStatus": model_status}


def _frame(service: Object, outcomes: dict[str, _Outcome]) -> Object:
    return {
        "deploymentMode": "Standard",
        "observedGeneration": 1,
        "conditions": [_condition(service, kind, outcomes[kind]) for kind in sorted(outcomes)],
    }


def _condition(service: Object, kind: str, outcome: _Outcome) -> Object:
    known = condition(service, kind)
    same = known is not None and known["status"] == outcome.status
    since = known["lastTransitionTime"] if known and same else timestamp()
    return {"type": kind, "status": outcome.status, **outcome.details, "lastTransitionTime": since}


def _model_status(service: Object, view: View, up: int) -> Object:
    known = (service.get("status") or {}).get("modelStatus") or {}
    states = known.get("states") or {}
    ready = view.state is State.READY
    target = _target_state(states.get("targetModelState", ""), view)
    status: Object = {
        # In spite of its name, the number of those that are ready; failed ones are not counted.
        "copies": {"failedCopies": 0, "totalCopies": up},
        "states": {
            "activeModelState": "Loaded" if ready else states.get("activeModelState", ""),
            "targetModelState": target,
        },
        "transitionStatus": {"Loaded": "UpToDate", "FailedToLoad": "BlockedByFailedLoad"}.get(
            target, "InProgress"
        ),
    }
    failure = known.get("lastFailureInfo")
    if view.last_exit is not None:
        exit_code = view.last_exit.code or 0
        ended = {"reason": "ModelLoadFailed", "message": view.last_exit.message}
        failure = _dated(service, {**ended, "exitCode": exit_code})
    return {**status, "lastFailureInfo": failure} if failure else status


def _target_state(before: str, view: View) -> str:
    match view.state:
        case State.READY:
            return "Loaded"
        case State.CRASHED:
            return "FailedToLoad"
        case State.UNHEALTHY:
            return "Pending"
        case State.LOADING:
            return "FailedToLoad" if before == "FailedToLoad" else "Loading"


def _dated(service: Object, failure: Object) -> Object:
    """The failure with the time it was first seen."""
    known = ((service.get("status") or {}).get("modelStatus") or {}).get("lastFailureInfo") or {}
    same = {name: known.get(name) for name in failure} == failure
    return {**failure, "time": known["time"] if same and "time" in known else timestamp()}
