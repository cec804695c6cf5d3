"""What every WorkloadRuntime does: the one for KServe, and the fake that stands in for it."""

from dataclasses import replace

import pytest

from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.resources import INFERENCE_SERVICE
from domain.errors import NotYet, Refused, Unreachable
from domain.workloads import Artefact, WorkloadPhase
from tests.cluster.builders import workload_in
from tests.cluster.hands import condition
from tests.fakes.runtime import READY, ScriptedRuntime


class Real:
    def __init__(self, cluster, hands):
        self.runtime = KServeRuntime(cluster)
        self._hands = hands

    async def make_ready(self, workload, replicas=1):
        copies = {"copies": {"failedCopies": 0, "totalCopies": replicas}}
        ready = [condition("PredictorReady")]
        await self._hands.report(workload, conditions=ready, modelStatus=copies)

    async def delete_by_hand(self, workload):
        await self._hands.delete(INFERENCE_SERVICE, workload.namespace, workload.name)

    async def scale_by_hand(self, workload, replicas):
        change = {"spec": {"predictor": {"minReplicas": replicas}}}
        await self._hands.patch(
            INFERENCE_SERVICE, workload.namespace, workload.name, change, manager="kubectl-edit"
        )

    async def outage(self, *, lasts):
        await self._hands.faults("error" if lasts else "none")


class Fake:
    def __init__(self):
        self.runtime = ScriptedRuntime()

    async def make_ready(self, workload, replicas=1):
        self.runtime.script(workload.name, READY)
        self.runtime.room = replicas

    async def delete_by_hand(self, workload):
        self.runtime.lose(workload)

    async def scale_by_hand(self, workload, replicas):
        self.runtime.tamper(workload, replicas)

    async def outage(self, *, lasts):
        for method in ("deploy", "status", "scale", "drift", "remove"):
            self.runtime.outage(method, Unreachable() if lasts else None)


@pytest.fixture(params=["real", "fake"])
def stage(request, cluster, hands):
    return Real(cluster, hands) if request.param == "real" else Fake()


@pytest.fixture
def workload(namespace):
    return workload_in(namespace)


async def phase(stage, workload):
    return (await stage.runtime.status(workload)).phase


async def test_a_workload_that_was_never_deployed_is_missing(stage, workload):
    status = await stage.runtime.status(workload)
    assert status.phase is WorkloadPhase.MISSING
    assert status.reason


async def test_a_deployed_workload_becomes_ready(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.make_ready(workload)
    assert await phase(stage, workload) is WorkloadPhase.READY


async def test_deploying_twice_is_deploying_once(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.make_ready(workload)
    await stage.runtime.deploy(workload)
    assert await phase(stage, workload) is WorkloadPhase.READY


async def test_another_spec_under_the_same_name_is_refused(stage, workload):
    await stage.runtime.deploy(workload)
    with pytest.raises(Refused, match="another spec"):
        await stage.runtime.deploy(replace(workload, uri="sim://other"))


async def test_a_workload_of_several_versions_lives_as_one_of_a_single_one(stage, workload):
    artefacts = (Artefact(mount="v1", uri=workload.uri), Artefact(mount="v2", uri="sim://other"))
    several = replace(workload, artefacts=artefacts)
    await stage.runtime.deploy(several)
    with pytest.raises(Refused, match="another spec"):
        await stage.runtime.deploy(workload)
    await stage.runtime.deploy(several)
    await stage.make_ready(several)
    assert await phase(stage, several) is WorkloadPhase.READY
    await stage.runtime.remove(several)
    assert await phase(stage, several) is WorkloadPhase.MISSING


async def test_a_workload_deleted_by_hand_is_missing_and_can_be_deployed_again(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.delete_by_hand(workload)
    assert await phase(stage, workload) is WorkloadPhase.MISSING
    await stage.runtime.deploy(workload)
    assert await phase(stage, workload) is not WorkloadPhase.MISSING


async def test_a_removed_workload_is_missing(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.runtime.remove(workload)
    assert await phase(stage, workload) is WorkloadPhase.MISSING


async def test_removing_what_is_not_there_is_success(stage, workload):
    await stage.runtime.remove(workload)
    await stage.runtime.remove(workload)


async def test_an_outage_is_unreachable_and_passes(stage, workload):
    await stage.outage(lasts=True)
    try:
        for method in (stage.runtime.deploy, stage.runtime.status, stage.runtime.remove):
            with pytest.raises(Unreachable):
                await method(workload)
    finally:
        await stage.outage(lasts=False)
    await stage.runtime.deploy(workload)


async def test_a_scaled_workload_is_the_same_one(stage, workload):
    await stage.runtime.deploy(workload)
    for _ in range(2):
        await stage.runtime.scale(workload, 3)
    await stage.runtime.deploy(workload)
    await stage.make_ready(workload)
    assert await phase(stage, workload) is WorkloadPhase.READY
    assert await stage.runtime.drift(workload, 3) is None


async def test_a_scaled_workload_is_ready_once_so_many_replicas_are(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.make_ready(workload)
    await stage.runtime.scale(workload, 3)
    for joined in (1, 2):
        await stage.make_ready(workload, joined)
        status = await stage.runtime.status(workload, 3)
        assert status.phase is WorkloadPhase.LOADING
        assert status.reason == f"{joined} of 3 replicas are ready"
        assert await phase(stage, workload) is WorkloadPhase.READY
    await stage.make_ready(workload, 3)
    assert (await stage.runtime.status(workload, 3)).phase is WorkloadPhase.READY
    assert (await stage.runtime.status(workload, 2)).phase is WorkloadPhase.READY


async def test_replicas_of_what_is_not_there_are_missing(stage, workload):
    assert (await stage.runtime.status(workload, 1)).phase is WorkloadPhase.MISSING


async def test_what_is_not_there_is_not_scaled_yet(stage, workload):
    with pytest.raises(NotYet):
        await stage.runtime.scale(workload, 2)


async def test_a_deployed_workload_stands_as_it_was_written(stage, workload):
    await stage.runtime.deploy(workload)
    assert await stage.runtime.drift(workload, None) is None


async def test_a_scale_that_somebody_changed_is_drift(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.runtime.scale(workload, 3)
    await stage.scale_by_hand(workload, 1)
    drift = await stage.runtime.drift(workload, 3)
    assert drift.field == f"InferenceService {workload.name} spec.predictor.minReplicas"
    assert (drift.expected, drift.found) == ("3", "1")


async def test_how_many_there_are_is_not_asked_where_nobody_scaled(stage, workload):
    await stage.runtime.deploy(workload)
    await stage.scale_by_hand(workload, 2)
    assert await stage.runtime.drift(workload, None) is None


async def test_what_is_gone_has_not_drifted(stage, workload):
    assert await stage.runtime.drift(workload, None) is None
