"""The table of what KServe reports and what it means."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.kserve.manifests import digest, inference_service
from adapters.kserve.readiness import Readiness
from domain.workloads import WorkloadPhase
from tests.cluster.builders import workload_in
from tests.cluster.hands import condition

CREATED = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NOW = CREATED + timedelta(hours=1)
LOST = {"reason": "ModelLoadFailed", "message": "no such bucket"}


def judged(*conditions, metadata=None, readiness=None, **model_status):
    found = {
        "metadata": {"creationTimestamp": "2026-11-22T08:00:00Z", **(metadata or {})},
        "status": {"conditions": list(conditions), "modelStatus": model_status},
    }
    return (readiness or Readiness()).judge(found, NOW)


def not_ready(**more):
    return condition("PredictorReady", "False", **more)


@pytest.mark.parametrize(
    ("conditions", "model_status", "phase", "reason"),
    [
        ([], {}, WorkloadPhase.LOADING, "KServe has not reported yet"),
        ([condition("PredictorReady")], {}, WorkloadPhase.READY, ""),
        ([condition("Ready")], {}, WorkloadPhase.LOADING, "KServe has not reported yet"),
        (
            [condition("PredictorReady", "Unknown", reason="MinimumReplicasUnavailable")],
            {},
            WorkloadPhase.LOADING,
            "PredictorReady: MinimumReplicasUnavailable",
        ),
        (
            [],
            {"transitionStatus": "InProgress", "states": {"targetModelState": "Loading"}},
            WorkloadPhase.LOADING,
            "KServe says Loading",
        ),
        ([], {"transitionStatus": "InProgress"}, WorkloadPhase.LOADING, "KServe says InProgress"),
        (
            [],
            {"states": {"targetModelState": "FailedToLoad"}, "lastFailureInfo": LOST},
            WorkloadPhase.FAILED,
            "ModelLoadFailed: no such bucket",
        ),
        (
            [],
            {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": LOST},
            WorkloadPhase.FAILED,
            "ModelLoadFailed: no such bucket",
        ),
        (
            [],
            {"transitionStatus": "BlockedByFailedLoad"},
            WorkloadPhase.FAILED,
            "the model failed to load",
        ),
        (
            [not_ready(reason="ProgressDeadlineExceeded", message="timed out progressing")],
            {},
            WorkloadPhase.FAILED,
            "the deployment made no progress: timed out progressing",
        ),
        (
            [],
            {"transitionStatus": "InProgress", "lastFailureInfo": LOST},
            WorkloadPhase.LOADING,
            "KServe says InProgress",
        ),
        (
            [condition("PredictorReady")],
            {"transitionStatus": "UpToDate", "lastFailureInfo": LOST},
            WorkloadPhase.READY,
            "",
        ),
        (
            [],
            {"transitionStatus": "InvalidSpec"},
            WorkloadPhase.FAILED,
            "KServe calls the spec invalid",
        ),
    ],
)
def test_the_status_is_read_as_the_platform_means_it(conditions, model_status, phase, reason):
    status = judged(*conditions, **model_status)
    assert (status.phase, status.reason) == (phase, reason)


def test_an_object_on_its_way_out_is_missing_even_while_it_is_ready():
    leaving = {"deletionTimestamp": "2026-11-22T08:30:00Z"}
    status = judged(condition("PredictorReady"), metadata=leaving)
    assert status.phase is WorkloadPhase.MISSING


def test_an_invalid_spec_has_its_grace():
    patient = Readiness(invalid_spec_grace=timedelta(hours=2))
    status = judged(readiness=patient, transitionStatus="InvalidSpec")
    assert status.phase is WorkloadPhase.LOADING


@pytest.mark.parametrize("status", [None, 7, [], {"conditions": 7}, {"modelStatus": "odd"}])
def test_a_status_of_odd_shape_is_still_loading(status):
    found = {"metadata": {"name": "a"}, "status": status}
    assert Readiness().judge(found, NOW).phase is WorkloadPhase.LOADING


def test_the_digest_tells_specs_apart_and_does_not_depend_on_their_order():
    spec = inference_service(workload_in("a"))["spec"]
    other = inference_service(workload_in("a", uri="sim://b"))["spec"]
    backwards = {"predictor": dict(reversed(spec["predictor"].items()))}
    assert digest(spec) == digest(backwards)
    assert digest(spec) != digest(other)
