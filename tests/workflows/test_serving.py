"""An inference service is brought to what it is meant to be: the new first, then the old away."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError

from domain.errors import Forbidden, NotYet, Unreachable
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.fakes.runtime import Call
from tests.plans import workload
from workflows.messages import ServeInput, deployment_id
from workflows.serving import ServeWorkflow

OLD, OLDER, NEW = workload("chat-v1"), workload("chat-v0"), workload("chat-v2")


async def begin(stage, wanted, *leaving, **changes):
    """Start with everything that is to leave standing."""
    for one in leaving:
        stage.runtime.deployed[one.namespace, one.name] = one
    order = ServeInput(service_id=uuid4(), wanted=wanted, leaving=leaving, **changes)
    stage.service_id = order.service_id
    stage.handle = await stage.client.start_workflow(
        ServeWorkflow.run, order, id=deployment_id(order.service_id), task_queue=stage.queue
    )
    return stage.handle


async def serve(stage, wanted, *leaving, **changes):
    return await (await begin(stage, wanted, *leaving, **changes)).result()


def standing(stage):
    return {name for _, name in stage.runtime.deployed}


async def test_a_service_that_gets_ready_is_deployed(stage):
    assert await serve(stage, NEW) == ""
    assert standing(stage) == {NEW.name}
    assert stage.journal.states == [("deployed", "")]


async def test_other_versions_are_ready_before_the_former_ones_go(stage):
    loading = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="pulling the model")
    stage.runtime.script(NEW.name, loading, loading, WorkloadStatus(phase=WorkloadPhase.READY))

    assert await serve(stage, NEW, OLDER, OLD) == ""

    assert stage.runtime.calls == [
        Call(method="deploy", workload=NEW.name),
        Call(method="remove", workload=OLDER.name),
        Call(method="remove", workload=OLD.name),
    ]
    assert stage.journal.states == [("deployed", "")]
    assert stage.journal.gone == [OLDER.name, OLD.name]


@pytest.mark.parametrize(
    ("phase", "reason"),
    [(WorkloadPhase.FAILED, "no such model"), (WorkloadPhase.LOADING, "pulling the model")],
)
async def test_versions_that_do_not_get_ready_leave_the_former_ones_where_they_are(
    stage, phase, reason
):
    stage.runtime.script(NEW.name, WorkloadStatus(phase=phase, reason=reason))

    said = await serve(stage, NEW, OLD, deadline=timedelta(seconds=1))

    assert reason in said
    assert OLD.name in standing(stage)
    assert stage.journal.states == [("failed", said)]
    assert stage.journal.gone == []


async def test_an_undeployed_service_leaves_nothing(stage):
    assert await serve(stage, None, OLDER, OLD) == ""
    assert standing(stage) == set()
    assert stage.journal.states == [("undeployed", "")]
    assert stage.journal.gone == [OLDER.name, OLD.name]


async def test_a_service_is_forgotten_once_nothing_is_left_of_it(stage):
    assert await serve(stage, None, OLD, forget=True) == ""
    assert standing(stage) == set()
    assert stage.journal.forgotten == [stage.service_id]
    assert stage.journal.states == []


async def test_a_cluster_that_lets_go_slowly_is_waited_for(stage):
    held = NotYet("InferenceService chat-v1 is still being deleted")
    stage.runtime.fail("remove", held, Unreachable(), held)

    assert await serve(stage, None, OLD) == ""
    assert stage.journal.states == [("undeployed", "")]


async def test_a_cluster_that_never_lets_go_is_told_in_the_end(stage):
    stage.runtime.outage("remove", NotYet("InferenceService chat-v1 is still being deleted"))

    said = await serve(stage, None, OLD, forget=True, deadline=timedelta(seconds=2))

    assert "still being deleted" in said
    assert stage.journal.states == [("failed", said)]
    assert stage.journal.forgotten == []


async def test_a_removal_that_is_forbidden_is_told(stage):
    stage.runtime.outage("remove", Forbidden("you may not delete this"))

    assert await serve(stage, None, OLD) == "you may not delete this"
    assert stage.journal.states == [("failed", "you may not delete this")]


async def test_a_cancelled_change_says_so(stage):
    stage.runtime.script(NEW.name, WorkloadStatus(phase=WorkloadPhase.LOADING, reason="pulling"))
    handle = await begin(stage, NEW, OLD)
    await stage.until(lambda: bool(stage.runtime.calls))

    await handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert [state for state, _ in stage.journal.states] == ["failed"]
    assert OLD.name in standing(stage)
