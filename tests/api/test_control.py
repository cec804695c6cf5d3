"""Control against a real Temporal server, with workers that play rollouts of a few lines."""

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import care, guard
from api import control as api_control
from api import launch, operations, serving
from api.control import Control
from api.errors import Absent, EngineUnreachable, NoReply
from bootstrap.converting import DATA_CONVERTER
from domain.errors import AlreadyRunning, Conflict, TidegateError
from domain.rollout import Action, Command, Phase
from sandbox.ports import free_ports
from sandbox.servers.temporal import running as a_temporal_server
from tests.projects import a_project, a_rollout
from workflows.messages import (
    TASK_QUEUE,
    PublishConfigInput,
    Reply,
    RolloutInput,
    RolloutView,
    ServeInput,
)

ADA = Command(actor="ada", reason="because")


@workflow.defn(name="RolloutWorkflow")
class Patient:
    """Waits for an abort, and refuses to be promoted."""

    def __init__(self) -> None:
        self.aborted = False

    @workflow.run
    async def run(self, order: RolloutInput) -> str:
        await workflow.wait_condition(lambda: self.aborted)
        return "home"

    @workflow.update(name="abort")
    async def abort(self, command: Command) -> Reply:
        self.aborted = True
        return Reply(phase=Phase.ROLLING_BACK, message=f"for {command.actor}")

    @workflow.update(name="promote")
    async def promote(self, command: Command) -> Reply:
        raise ApplicationError("not today", type="Conflict", non_retryable=True)

    @workflow.query(name="describe")
    def describe(self) -> RolloutView:
        return RolloutView(phase=Phase.PROGRESSING, reason="soak", step=1, candidate_weight=10)


@workflow.defn(name="PublishConfigWorkflow")
class Prompt:
    @workflow.run
    async def run(self, order: PublishConfigInput) -> str:
        return order.stable.name


@workflow.defn(name="ServeWorkflow")
class Slow:
    """Never gets a workload up, and takes others away at once."""

    @workflow.run
    async def run(self, order: ServeInput) -> str:
        await workflow.wait_condition(lambda: order.wanted is None)
        return "done"


@pytest.fixture(scope="module")
async def temporal(temporal_server):
    return await Client.connect(temporal_server.address, data_converter=DATA_CONVERTER)


@pytest.fixture
async def control(temporal):
    return Control(temporal)


@asynccontextmanager
async def _working(temporal):
    async with Worker(
        temporal,
        task_queue=TASK_QUEUE,
        workflows=[Patient, Prompt, Slow],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


@pytest.fixture
async def worker(temporal):
    async with _working(temporal):
        yield


@pytest.fixture
def rollout():
    return a_rollout(a_project().plan)


async def _end(temporal, rollout):
    await temporal.get_workflow_handle(rollout.workflow_id).terminate()


async def test_a_rollout_is_started_once_and_known_by_its_id(temporal, control, rollout):
    run_id = await control.start_rollout(rollout)
    assert await control.start_rollout(rollout) == run_id
    rival = replace(rollout, id=uuid4())
    with pytest.raises(AlreadyRunning) as caught:
        await control.start_rollout(rival)
    assert caught.value.rollout_id == str(rollout.id)
    await _end(temporal, rollout)


async def test_what_people_see_in_the_temporal_ui_is_there_from_the_start(
    temporal, control, rollout
):
    rollout = replace(rollout, reason="a better model", actor="ada")
    await control.start_rollout(rollout)
    found = await temporal.get_workflow_handle(rollout.workflow_id).describe()
    assert await found.static_summary() == "canary of chat: v1 to v2"
    details = await found.static_details()
    assert "send 10 % to the candidate" in details
    assert "by ada: a better model" in details
    attributes = {pair.key.name: pair.value for pair in found.typed_search_attributes}
    assert attributes["RolloutPhase"] == "pending"
    assert attributes["RolloutModel"] == "chat"
    assert attributes["RolloutStrategy"] == "canary"
    assert attributes["TidegateProject"] == str(rollout.project_id)
    assert attributes["CandidateWeight"] == 0
    await _end(temporal, rollout)


async def test_a_summary_of_long_names_is_cut_and_not_refused(temporal, control, rollout):
    plan = rollout.plan
    long = replace(plan.candidate, version_name="ü" * 255)
    rollout = replace(rollout, plan=replace(plan, candidate=long))
    assert await control.start_rollout(rollout)
    await _end(temporal, rollout)


async def test_commands_and_questions_reach_the_rollout(worker, control, rollout):
    await control.start_rollout(rollout)
    assert (await control.describe(rollout)).reason == "soak"
    with pytest.raises(Conflict, match="not today"):
        await control.command(rollout, Action.PROMOTE, ADA)
    reply = await control.command(rollout, Action.ABORT, ADA)
    assert reply == Reply(phase=Phase.ROLLING_BACK, message="for ada")


async def test_a_command_never_reaches_another_rollout_of_the_same_config(
    temporal, worker, control, rollout
):
    await control.start_rollout(rollout)
    former = replace(rollout, id=uuid4())
    with pytest.raises(Absent):
        await control.command(former, Action.ABORT, ADA)
    assert await control.describe(former) is None
    assert (await control.describe(rollout)).phase is Phase.PROGRESSING
    await _end(temporal, rollout)


async def test_what_has_ended_or_never_was_is_absent(temporal, control, rollout):
    with pytest.raises(Absent):
        await control.command(rollout, Action.ABORT, ADA)
    await control.start_rollout(rollout)
    await _end(temporal, rollout)
    with pytest.raises(Absent):
        await control.command(rollout, Action.ABORT, ADA)
    assert await control.describe(rollout) is None
    assert await control.start_rollout(rollout)
    await _end(temporal, rollout)


async def test_without_a_worker_the_answer_does_not_come_in_time(temporal, control, rollout):
    await control.start_rollout(rollout)
    with pytest.raises(NoReply):
        await control.describe(rollout)
    await _end(temporal, rollout)


async def test_publishing_is_waited_for_but_not_for_ever(temporal, control):
    project = a_project()
    stable = project.plan.stable
    async with _working(temporal):
        await control.publish_config(project.config, stable, patience=timedelta(seconds=30))
    handle = temporal.get_workflow_handle(f"traffic-{project.config.id}")
    assert await handle.result() == "stable"
    late = a_project()
    await control.publish_config(late.config, stable, patience=timedelta(milliseconds=50))
    again = control.publish_config(late.config, stable, patience=timedelta(milliseconds=50))
    await again
    await temporal.get_workflow_handle(f"traffic-{late.config.id}").terminate()


async def test_a_deployment_is_joined_by_a_repeat(temporal, control):
    project = a_project()
    workload = project.plan.stable.workload
    order = ServeInput(service_id=project.service.id, wanted=workload)
    await asyncio.gather(*(control.serve(project.service, order) for _ in range(3)))
    handle = temporal.get_workflow_handle(f"inference-service-{project.service.id}")
    assert (await handle.describe()).workflow_type == "ServeWorkflow"
    assert await control.is_serving(project.service.id)
    with pytest.raises(AlreadyRunning, match="'chat'"):
        await control.serve(project.service, replace(order, wanted=None, leaving=(workload,)))
    await handle.terminate()
    assert not await control.is_serving(project.service.id)
    assert not await control.stop_serving(project.service.id)


async def test_a_change_of_a_service_that_is_stopped_makes_room_for_another(temporal, control):
    project = a_project()
    order = ServeInput(service_id=project.service.id, wanted=project.plan.stable.workload)
    await control.serve(project.service, order)
    with pytest.raises(NoReply):  # nobody is there to end it
        await control.stop_serving(project.service.id)
    async with _working(temporal):
        await control.stop_serving(project.service.id)
        undeploy = replace(order, wanted=None)
        await control.serve(project.service, undeploy, patience=timedelta(seconds=30))
    handle = temporal.get_workflow_handle(f"inference-service-{project.service.id}")
    assert await handle.result() == "done"


@pytest.mark.parametrize("grace", [serving._BEGINS_WITHIN, care.START_GRACE, guard.START_GRACE])
def test_a_start_has_come_or_failed_before_its_row_counts_as_abandoned(grace):
    behind_others = max(
        sum(waits)
        for waits in (
            operations._WHILE_CLOSING_SECONDS,
            launch._WHILE_CLOSING_SECONDS,
            api_control._WHILE_CLOSING_SECONDS,
        )
    )
    assert timedelta(seconds=behind_others) + api_control._START < grace


async def test_a_server_that_is_not_there_is_unreachable(rollout):
    (port,) = free_ports(1)
    client = await Client.connect(f"127.0.0.1:{port}", data_converter=DATA_CONVERTER, lazy=True)
    control = Control(client)
    calls = [
        control.ready(),
        control.start_rollout(rollout),
        control.command(rollout, Action.ABORT, ADA),
        control.describe(rollout),
    ]
    for call in calls:
        with pytest.raises(EngineUnreachable):
            await call


async def test_a_server_that_is_silent_is_unreachable_before_anything_is_asked_of_it():
    """Not `NoReply`: whoever reads that looks for what may go on, and there is nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        client = await Client.connect(f"{host}:{port}", data_converter=DATA_CONVERTER, lazy=True)
        with pytest.raises(EngineUnreachable):
            await Control(client).ready()


async def test_a_connection_that_the_server_closes_is_no_sign_of_trouble(tmp_path):
    """It closes each after five minutes; what is about to be sent on it then is cancelled."""
    short = ('frontend.keepAliveMaxConnectionAge="500ms"',)
    loop, causes = asyncio.get_running_loop(), []
    async with a_temporal_server(tmp_path, dynamic_config=short) as server:
        control = Control(await Client.connect(server.address, data_converter=DATA_CONVERTER))
        ends = loop.time() + 5

        async def asking():
            while loop.time() < ends:
                try:
                    await control.ready()
                except TidegateError as error:
                    causes.append(error.__cause__)

        await asyncio.gather(*(asking() for _ in range(8)))
    assert [one for one in causes if not isinstance(one, TimeoutError)] == []  # a busy machine


async def test_a_server_that_is_there_is_ready(control):
    await control.ready()
