"""The status of an InferenceService from how each of its replicas is doing."""

import pytest

from sandbox.controllers.kserve_status import serving_status
from sandbox.controllers.model_process import Exit
from sandbox.controllers.model_servers import State, View
from sandbox.controllers.objects import condition

SERVICE = {"metadata": {"name": "chat", "namespace": "here"}}


def of(*states):
    views = [View(state=state, port=1, restarts=0, last_exit=None) for state in states]
    return serving_status(SERVICE, views, "chat-predictor")


@pytest.mark.parametrize(
    ("up", "wanted", "ready"),
    [(1, 1, True), (2, 3, False), (3, 3, True), (3, 4, True), (2, 4, False), (6, 8, True)],
)
def test_a_quarter_of_the_replicas_may_be_missing_and_is_not_counted(up, wanted, ready):
    status = of(*[State.READY] * up, *[State.LOADING] * (wanted - up))

    told = condition({"status": status}, "PredictorReady")
    assert told is not None
    assert told["status"] == str(ready)
    assert status["modelStatus"]["copies"]["totalCopies"] == up


def test_one_of_those_that_keep_it_from_being_ready_is_told_of():
    crashed = View(state=State.CRASHED, port=0, restarts=0, last_exit=Exit(code=1, message="no"))
    ready = View(state=State.READY, port=1, restarts=0, last_exit=None)
    model = serving_status(SERVICE, [ready, crashed], "chat-predictor")["modelStatus"]

    assert model["states"]["targetModelState"] == "FailedToLoad"
    assert model["lastFailureInfo"]["message"] == "no"
