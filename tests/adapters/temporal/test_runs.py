"""Which runs are alive, as a real server says."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from adapters.temporal.runs import TemporalRuns
from domain.errors import Unreachable
from domain.rollout import workflow_id
from sandbox.ports import free_port


@workflow.defn(sandboxed=False)
class Waiting:
    def __init__(self):
        self._told = ""

    @workflow.run
    async def run(self, lives: int = 0) -> None:
        await workflow.wait_condition(lambda: bool(self._told))
        if self._told == "again" and not lives:
            workflow.continue_as_new(1)

    @workflow.signal
    def tell(self, what: str) -> None:
        self._told = what


@pytest.fixture
async def started(temporal_client):
    """A run that waits for a word, on a queue that no worker serves yet."""
    name = f"waiting-{uuid.uuid4()}"
    return await temporal_client.start_workflow(Waiting.run, 0, id=name, task_queue=name)


async def test_a_run_is_alive_from_its_start_to_its_end(temporal_client, started):
    runs = TemporalRuns(temporal_client)
    assert await runs.is_running(started.id)
    async with Worker(temporal_client, task_queue=started.id, workflows=[Waiting]):
        await started.signal(Waiting.tell, "end")
        await started.result()
    assert not await runs.is_running(started.id)


async def test_a_terminated_run_is_dead_at_once(temporal_client, started):
    await started.terminate()
    assert not await TemporalRuns(temporal_client).is_running(started.id)


async def test_a_run_that_continues_as_new_lives_on(temporal_client, started):
    async with Worker(temporal_client, task_queue=started.id, workflows=[Waiting]):
        await started.signal(Waiting.tell, "again")
        first = temporal_client.get_workflow_handle(
            started.id, run_id=started.first_execution_run_id
        )
        with pytest.raises(Exception, match="continued as new"):
            await first.result(follow_runs=False)
        assert await TemporalRuns(temporal_client).is_running(started.id)
    await temporal_client.get_workflow_handle(started.id).terminate()


async def test_the_list_names_what_changes_traffic_while_it_runs(temporal_client):
    runs, queue = TemporalRuns(temporal_client), f"waiting-{uuid.uuid4()}"
    names = [workflow_id(uuid.uuid4()) for _ in range(3)]
    handles = [
        await temporal_client.start_workflow(Waiting.run, 0, id=name, task_queue=queue)
        for name in (*names, queue)
    ]
    await listing(runs, lambda listed: set(names) <= listed)
    assert queue not in await runs.listed()
    await handles[0].terminate()
    await listing(runs, lambda listed: names[0] not in listed and names[1] in listed)
    for handle in handles[1:]:
        await handle.terminate()


async def listing(runs, is_so):
    """Wait until the list, which lags, says so."""
    async with asyncio.timeout(20):
        while not is_so(await runs.listed()):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)


async def test_what_was_never_started_is_not_running(temporal_client):
    assert not await TemporalRuns(temporal_client).is_running("no-such-workflow")


async def test_a_namespace_that_is_not_there_makes_nothing_look_dead(temporal_server):
    elsewhere = await Client.connect(temporal_server.address, namespace="no-such-namespace")
    with pytest.raises(Unreachable, match="no-such-namespace"):
        await TemporalRuns(elsewhere).is_running("anything")


async def test_a_server_that_is_not_there_is_unreachable():
    nowhere = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
    runs = TemporalRuns(nowhere, timeout=timedelta(milliseconds=200))
    with pytest.raises(Unreachable):
        await runs.is_running("anything")
    with pytest.raises(Unreachable):
        await runs.listed()
