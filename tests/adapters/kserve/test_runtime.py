"""InferenceServices on a real API server: what is written, and what is left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from adapters.kserve.readiness import Readiness
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import connect
from adapters.kubernetes.resources import INFERENCE_SERVICE, POD
from domain.errors import Conflict, NotFound, NotYet, Refused
from domain.workloads import Artefact, WorkloadPhase
from sandbox.kube.kubeconfig import write_kubeconfig
from tests.cluster.builders import PROJECT, SERVICE_ID, workload_in
from tests.cluster.hands import condition
from tests.metrics.servers import serving


@pytest.fixture
def runtime(cluster):
    return KServeRuntime(cluster)


@pytest.fixture
def workload(namespace):
    return workload_in(namespace, runtime="kserve-huggingfaceserver", model_format="huggingface")


async def stored(hands, workload):
    return await hands.get(INFERENCE_SERVICE, workload.namespace, workload.name)


async def test_the_object_says_what_to_run_and_whose_it_is(runtime, hands, workload):
    await runtime.deploy(workload)
    found = await stored(hands, workload)
    assert found["spec"] == {
        "predictor": {
            "minReplicas": 1,
            "model": {
                "modelFormat": {"name": "huggingface"},
                "storageUri": "sim://chat-v1",
                "runtime": "kserve-huggingfaceserver",
            },
        }
    }
    assert found["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "tidegate",
        "tidegate.dev/project": str(PROJECT),
        "tidegate.dev/service": str(SERVICE_ID),
        "tidegate.dev/version": str(workload.version_id),
    }
    assert found["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    managers = [(one["manager"], one["operation"]) for one in found["metadata"]["managedFields"]]
    assert managers == [("tidegate", "Apply")]


async def test_without_a_runtime_kserve_chooses_one(runtime, hands, workload):
    await runtime.deploy(replace(workload, runtime=None))
    assert "runtime" not in (await stored(hands, workload))["spec"]["predictor"]["model"]


ARTEFACTS = (Artefact(mount="v1", uri="sim://chat-v1"), Artefact(mount="v2", uri="sim://chat-v2"))


async def test_several_versions_lie_side_by_side_under_one_parent(runtime, hands, workload):
    several = replace(workload, artefacts=ARTEFACTS)
    await runtime.deploy(several)
    assert (await stored(hands, workload))["spec"] == {
        "predictor": {
            "minReplicas": 1,
            "model": {
                "modelFormat": {"name": "huggingface"},
                "runtime": "kserve-huggingfaceserver",
            },
            "storageUris": [
                {"uri": "sim://chat-v1", "mountPath": "/mnt/models/v1"},
                {"uri": "sim://chat-v2", "mountPath": "/mnt/models/v2"},
            ],
        }
    }


async def test_one_version_has_the_digest_that_it_always_had(runtime, hands, workload):
    await runtime.deploy(workload)
    annotations = (await stored(hands, workload))["metadata"]["annotations"]
    assert annotations["tidegate.dev/spec-digest"] == (
        "132f418cc84564649062d5b51f8d1a81d0f745a64c9d045e658746ba272cf956"
    )


async def test_a_second_deploy_writes_nothing(runtime, hands, workload):
    await runtime.deploy(workload)
    before = await stored(hands, workload)
    await runtime.deploy(workload)
    assert await stored(hands, workload) == before


async def test_defaults_filled_in_by_kserve_are_no_other_spec(runtime, hands, workload):
    await runtime.deploy(workload)
    filled = {"spec": {"predictor": {"model": {"protocolVersion": "v2"}}}}
    await hands.patch(INFERENCE_SERVICE, workload.namespace, workload.name, filled)
    await runtime.deploy(workload)


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "sim://b"},
        {"model_format": "vLLM"},
        {"runtime": "kserve-vllmserver"},
        {"artefacts": ARTEFACTS},
    ],
)
async def test_an_object_is_never_edited_in_place(runtime, hands, workload, change):
    await runtime.deploy(workload)
    before = await stored(hands, workload)
    with pytest.raises(Refused, match="never edited"):
        await runtime.deploy(replace(workload, **change))
    assert await stored(hands, workload) == before


async def test_an_object_of_somebody_else_is_left_alone(runtime, hands, workload):
    spec = {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
    await hands.create(INFERENCE_SERVICE, workload.namespace, workload.name, spec=spec)
    before = await stored(hands, workload)
    with pytest.raises(Conflict, match="belongs to somebody else"):
        await runtime.deploy(workload)
    await runtime.remove(workload)
    assert await stored(hands, workload) == before


async def test_an_object_of_another_project_is_left_alone(runtime, hands, workload):
    await runtime.deploy(workload)
    stranger = replace(workload, project_id=SERVICE_ID)
    with pytest.raises(Conflict):
        await runtime.deploy(stranger)
    await runtime.remove(stranger)
    await stored(hands, workload)


async def test_removal_is_not_done_before_the_object_is_gone(runtime, hands, workload):
    await runtime.deploy(workload)
    await hands.hold(INFERENCE_SERVICE, workload.namespace, workload.name)
    for _ in range(2):
        with pytest.raises(NotYet, match="still being deleted"):
            await runtime.remove(workload)
    assert (await runtime.status(workload)).phase is WorkloadPhase.MISSING
    with pytest.raises(NotYet):
        await runtime.deploy(workload)
    await hands.let_go(INFERENCE_SERVICE, workload.namespace, workload.name)
    await runtime.remove(workload)
    await runtime.deploy(workload)


async def test_a_namespace_that_is_not_there_is_not_found(runtime, workload):
    with pytest.raises(NotFound, match="nowhere"):
        await runtime.deploy(replace(workload, namespace="nowhere"))


async def test_an_invalid_spec_fails_once_its_grace_is_over(cluster, hands, workload):
    failure = {"reason": "RuntimeNotRecognized", "message": "waiting for runtime x"}
    invalid = {"transitionStatus": "InvalidSpec", "lastFailureInfo": failure}
    now = datetime.now(UTC)
    early = KServeRuntime(cluster, now=lambda: now)
    late = KServeRuntime(cluster, now=lambda: now + timedelta(minutes=1))
    await early.deploy(workload)
    await hands.report(workload, modelStatus=invalid)
    said = "RuntimeNotRecognized: waiting for runtime x"
    status = await early.status(workload)
    assert (status.phase, status.reason) == (WorkloadPhase.LOADING, said)
    status = await late.status(workload)
    assert (status.phase, status.reason) == (WorkloadPhase.FAILED, said)


async def test_ready_may_have_to_include_the_ingress(cluster, hands, workload):
    strict = KServeRuntime(cluster, readiness=Readiness(condition="Ready"))
    await strict.deploy(workload)
    without_ingress = [condition("PredictorReady"), condition("Ready", "False", reason="NoIngress")]
    await hands.report(workload, conditions=without_ingress)
    assert (await strict.status(workload)).phase is WorkloadPhase.LOADING
    await hands.report(workload, conditions=[condition("PredictorReady"), condition("Ready")])
    assert (await strict.status(workload)).phase is WorkloadPhase.READY


async def test_who_counts_nobody_is_not_taken_for_complete(runtime, hands, workload):
    await runtime.deploy(workload)
    await hands.report(workload, conditions=[condition("PredictorReady")])
    status = await runtime.status(workload, 1)
    assert (status.phase, status.reason) == (WorkloadPhase.LOADING, "0 of 1 replicas are ready")


async def test_replicas_that_do_not_join_have_the_reason_of_their_pods(runtime, hands, workload):
    await runtime.deploy(workload)
    copies = {"copies": {"totalCopies": 1}}
    await hands.report(workload, conditions=[condition("PredictorReady")], modelStatus=copies)
    labels = {"app": "isvc.chat-v1-predictor"}
    await hands.create(POD, workload.namespace, "p", metadata={"labels": labels}, spec={})
    full = condition("PodScheduled", "False", reason="Unschedulable", message="no gpu is free")
    await hands.set_status(POD, workload.namespace, "p", {"conditions": [full]})
    status = await runtime.status(workload, 2)
    assert status.reason == "1 of 2 replicas are ready; Unschedulable: no gpu is free"


async def test_a_replica_that_fails_to_load_is_a_failure(runtime, hands, workload):
    await runtime.deploy(workload)
    failure = {"reason": "ModelLoadFailed", "message": "out of memory"}
    model = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}
    unready = condition("PredictorReady", "False", reason="MinimumReplicasUnavailable")
    model["copies"] = {"totalCopies": 1}
    await hands.report(workload, conditions=[unready], modelStatus=model)
    status = await runtime.status(workload, 2)
    assert status.phase is WorkloadPhase.FAILED
    assert status.reason == "ModelLoadFailed: out of memory"


async def test_while_it_loads_the_pods_say_what_kserve_does_not_see(runtime, hands, workload):
    await runtime.deploy(workload)
    await hands.report(workload, modelStatus={"transitionStatus": "InProgress"})
    labels = {"app": "isvc.chat-v1-predictor"}
    await hands.create(POD, workload.namespace, "p", metadata={"labels": labels}, spec={})
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    containers = [{"name": "kserve-container", "state": {"waiting": waiting}}]
    await hands.set_status(POD, workload.namespace, "p", {"containerStatuses": containers})
    status = await runtime.status(workload)
    assert status.phase is WorkloadPhase.LOADING
    assert status.reason == (
        "KServe says InProgress; container kserve-container: ImagePullBackOff: no such image"
    )


async def test_without_leave_to_read_pods_kserve_alone_is_heard(tmp_path, workload):
    async def answer(request):
        if request.path.endswith("/pods"):
            refusal = {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403}
            return web.json_response(refusal, status=403)
        return web.json_response({"kind": "InferenceService", "status": {}})

    async with serving(answer) as address:
        write_kubeconfig(tmp_path / "kubeconfig", f"http://{address}")
        async with connect(tmp_path / "kubeconfig") as client:
            status = await KServeRuntime(client).status(workload)
    assert status.reason == "KServe has not reported yet"
