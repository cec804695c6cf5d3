"""One-shot changes: an inference service is deployed, a traffic config published."""

from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import Refused
from domain.progress import ActState
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.plans import route, variant
from tests.workflows.stage import acted
from workflows.messages import DeployServiceInput, PublishConfigInput
from workflows.provisioning import DeployServiceWorkflow, PublishConfigWorkflow

STABLE = variant("stable", 0, "v1")


async def deploy(stage, **changes):
    order = DeployServiceInput(service_id=uuid4(), workload=STABLE.workload, **changes)
    run = DeployServiceWorkflow.run
    return await stage.client.execute_workflow(run, order, id=str(uuid4()), task_queue=stage.queue)


async def publish(stage):
    order = PublishConfigInput(config_id=uuid4(), service_id=uuid4(), route=route(), stable=STABLE)
    stage.route = order.route
    run = PublishConfigWorkflow.run
    return await stage.client.execute_workflow(run, order, id=str(uuid4()), task_queue=stage.queue)


async def test_a_service_that_gets_ready_is_deployed(stage):
    assert await deploy(stage) == ""
    assert stage.journal.states == [("deployed", "")]


@pytest.mark.parametrize(
    ("phase", "reason"),
    [(WorkloadPhase.FAILED, "no such model"), (WorkloadPhase.LOADING, "pulling the model")],
)
async def test_a_service_that_does_not_get_ready_says_why(stage, phase, reason):
    stage.runtime.script(STABLE.workload.name, WorkloadStatus(phase=phase, reason=reason))

    said = await deploy(stage, deadline=timedelta(seconds=1))

    assert reason in said
    assert stage.journal.states == [("failed", said)]


async def test_a_published_config_sends_everything_to_stable(stage):
    assert await publish(stage) == ""
    assert stage.router.weights(stage.route) == (100,)
    assert stage.journal.states == [("active", "")]


async def test_a_config_that_the_gateway_does_not_take_says_why(stage):
    stage.settles = lambda order: acted(ActState.DISOBEYED, "the Gateway is missing")

    assert await publish(stage) == "the Gateway is missing"
    assert stage.journal.states == [("failed", "the Gateway is missing")]


async def test_a_config_that_the_cluster_refuses_says_why(stage):
    stage.router.outage("connect", Refused("spec.schema: unsupported"))

    assert await publish(stage) == "spec.schema: unsupported"
    assert stage.journal.states == [("failed", "spec.schema: unsupported")]
