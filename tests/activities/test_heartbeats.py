"""An activity that was given up stores nothing of what it reads from then on."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.workflow import ActivityCancellationType

from activities.heartbeats import Heartbeats, still_wanted

QUEUE = "given-up"
# Its beats come so seldom that no cancel arrives with them during a test.
SELDOM = timedelta(hours=1)
A_WHILE_SECONDS = 1


class Clerk:
    """Stores a reading whenever it is told to read; `stored` says how many."""

    def __init__(self):
        self.reads: asyncio.Queue[None] = asyncio.Queue()
        self.stored = 0
        self.has_read = asyncio.Event()

    @activity.defn(name="clerk.look")
    async def look(self):
        while True:
            await self.reads.get()
            self.has_read.set()
            await still_wanted()
            self.stored += 1

    async def read(self):
        self.has_read.clear()
        self.reads.put_nowait(None)
        await self.has_read.wait()


@workflow.defn(sandboxed=False)
class Manager:
    """Gives the look up when it is told to."""

    def __init__(self):
        self.gives_up = False

    @workflow.run
    async def run(self):
        looking = workflow.start_activity(
            "clerk.look",
            start_to_close_timeout=timedelta(days=1),
            heartbeat_timeout=SELDOM,
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
        )
        await workflow.wait_condition(lambda: self.gives_up)
        looking.cancel()
        with suppress(ActivityError):  # cancelled: so it is at once, as nobody waits for its end
            await looking
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def give_up(self):
        self.gives_up = True


@pytest.fixture
async def clerk(temporal_client):
    made = Clerk()
    async with Worker(
        temporal_client,
        task_queue=QUEUE,
        workflows=[Manager],
        activities=[made.look],
        interceptors=[Heartbeats()],
    ):
        yield made


@pytest.fixture
async def manager(temporal_client, clerk):
    handle = await temporal_client.start_workflow(Manager.run, id=str(uuid4()), task_queue=QUEUE)
    yield handle
    with suppress(RPCError):  # a test has ended it
        await handle.terminate()


async def _stores(clerk, count):
    while clerk.stored < count:  # noqa: ASYNC110 - the test's own limit ends it
        await asyncio.sleep(0.01)


async def test_what_is_read_while_the_workflow_waits_is_stored(clerk, manager):
    await clerk.read()
    await clerk.read()
    await _stores(clerk, 2)


async def test_what_is_read_after_the_workflow_gave_the_look_up_is_not_stored(clerk, manager):
    await clerk.read()
    await _stores(clerk, 1)

    await manager.execute_update(Manager.give_up)
    await clerk.read()
    await asyncio.sleep(A_WHILE_SECONDS)

    assert clerk.stored == 1


async def test_what_is_read_after_the_workflow_was_terminated_is_not_stored(clerk, manager):
    await clerk.read()
    await _stores(clerk, 1)

    await manager.terminate()
    await clerk.read()
    await asyncio.sleep(A_WHILE_SECONDS)

    assert clerk.stored == 1


async def test_outside_of_a_worker_everything_is_wanted():
    await still_wanted()
