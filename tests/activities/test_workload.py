"""Waiting for the replicas of a workload, with a runtime that does as it is told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.workload import ReplicasOrder, WorkloadActivities
from domain.errors import Forbidden, Unreachable
from domain.progress import ActState
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.cluster.builders import workload_in
from tests.fakes.runtime import READY, ScriptedRuntime

WORKLOAD = workload_in("models")
FAILED = WorkloadStatus(phase=WorkloadPhase.FAILED, reason="out of memory")


@pytest.fixture
async def runtime():
    scaled = ScriptedRuntime()
    await scaled.deploy(WORKLOAD)
    await scaled.scale(WORKLOAD, 3)
    return scaled


class Look:
    """A look under way."""

    def __init__(self, runtime, *, within=timedelta(minutes=1), insist=False):
        self._runtime = runtime
        order = ReplicasOrder(
            workload=WORKLOAD, replicas=3, deadline=datetime.now(UTC) + within, insist=insist
        )
        looks = WorkloadActivities(runtime).await_replicas
        self.task = asyncio.create_task(ActivityEnvironment().run(looks, order))

    async def goes_on(self):
        """See it look a second time."""
        async with asyncio.timeout(10):
            while self._runtime.looked_for(3) < 2:
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.01)

    async def ended(self):
        async with asyncio.timeout(10):
            acted = await self.task
        return acted.state, acted.detail


async def test_it_waits_until_all_have_joined(runtime):
    runtime.room = 2
    look = Look(runtime)
    await look.goes_on()
    runtime.room = 3

    assert await look.ended() == (ActState.DONE, "scaled to 3")


async def test_who_has_not_joined_in_time_is_not_ready(runtime):
    runtime.room = 2

    assert await Look(runtime, within=timedelta(0)).ended() == (
        ActState.NOT_READY,
        f"{WORKLOAD.name} was not scaled in time: 2 of 3 replicas are ready",
    )


async def test_a_failure_is_not_waited_out(runtime):
    runtime.script(WORKLOAD.name, FAILED)

    state, detail = await Look(runtime).ended()
    assert (state, detail) == (ActState.NOT_READY, f"{WORKLOAD.name} failed: out of memory")


async def test_a_failure_is_waited_out_where_that_is_asked_for(runtime):
    runtime.script(WORKLOAD.name, FAILED)
    look = Look(runtime, insist=True)
    await look.goes_on()
    runtime.script(WORKLOAD.name, READY)

    assert (await look.ended())[0] is ActState.DONE


async def test_a_scale_that_somebody_changed_meanwhile_is_told(runtime):
    runtime.tamper(WORKLOAD, 1)

    state, detail = await Look(runtime).ended()
    assert state is ActState.DRIFTED
    assert "minReplicas is 1, was written as 3" in detail


async def test_who_insists_is_told_of_a_changed_scale_in_the_end(runtime):
    runtime.tamper(WORKLOAD, 1)

    assert (await Look(runtime, insist=True, within=timedelta(0)).ended())[0] is ActState.DRIFTED


@pytest.mark.parametrize("error", [Unreachable("no answer"), Forbidden("no access")])
async def test_a_cluster_that_does_not_answer_says_nothing_about_replicas(runtime, error):
    runtime.outage("status", error)
    look = Look(runtime)
    await look.goes_on()
    runtime.outage("status", None)

    assert (await look.ended())[0] is ActState.DONE


async def test_a_workload_that_was_deleted_comes_back_with_as_many(runtime):
    runtime.lose(WORKLOAD)

    assert (await Look(runtime).ended())[0] is ActState.DONE
    assert runtime.replicas == {WORKLOAD.name: 3}
