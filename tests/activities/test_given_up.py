"""A watch that its workflow has given up, before the cancel has arrived: it leaves no trace."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unreachable
from domain.verdicts import Status
from tests.activities import test_analysis, test_comparing, test_reading
from tests.activities.test_analysis import healthy

A_WHILE_SECONDS = 0.3
CANCELLED = AsyncActivityCancelledError()


def refused(status):
    return RPCError("no", status, b"")


class Server:
    """A Temporal server that answers so many beats of a watch, and then says this."""

    def __init__(self, says, after=0):
        self._says, self._left = says, after
        self.has_said = asyncio.Event()

    def get_async_activity_handle(self, *, task_token):
        assert task_token
        return self

    async def heartbeat(self, *_, rpc_timeout):
        assert rpc_timeout
        self._left -= 1
        if self._left < 0:
            self.has_said.set()
            raise self._says


async def given_up(watched, server):
    """A while after the server has said so, the cancel arrives."""
    watching = asyncio.ensure_future(watched.watch(client=server))
    await server.has_said.wait()
    await asyncio.sleep(A_WHILE_SECONDS)
    assert not watching.done()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


@pytest.mark.parametrize("says", [CANCELLED, refused(RPCStatusCode.NOT_FOUND)])
async def test_counts_that_it_reads_are_neither_stored_nor_told(says):
    watched = await test_analysis.Scene().set_up()

    await given_up(watched, Server(says))

    assert watched.counters.readings
    log = await watched.evidence.load(watched.rollout_id)
    assert (log.intervals, log.cursor) == ((), None)
    assert not watched.journal.entries


async def test_what_it_stored_before_stays_as_it_was():
    def decides_nothing(store):
        store.candidate.serve(2)
        store.stable.serve(18)

    watched = await test_analysis.Scene(decides_nothing).set_up()

    await given_up(watched, Server(CANCELLED, after=3))

    log = await watched.evidence.load(watched.rollout_id)
    assert len(log.intervals) == 2, "the first look opens"


async def test_readings_of_its_gates_are_not_stored():
    watched = await test_reading.Scene(test_reading.gate()).set_up()

    await given_up(watched, Server(CANCELLED))

    assert watched.queries.asked
    assert not await watched.kept()


async def test_answers_that_it_compares_are_not_stored():
    watched = await test_comparing.Scene().set_up()

    await given_up(watched, Server(CANCELLED, after=1))  # none is asked before the first look

    assert watched.answers.asked
    assert not await watched.store.compared(watched.rollout_id)


async def test_a_stable_that_is_gone_meanwhile_is_not_brought_up_again():
    watched = await test_analysis.Scene().set_up()
    watched.counters.trouble = Unreachable("so that it comes to look at the cluster")
    stable = watched.plan.stable.workload
    watched.runtime.lose(stable)

    await given_up(watched, Server(CANCELLED))

    assert (stable.namespace, stable.name) not in watched.runtime.deployed


@pytest.mark.parametrize("status", [RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED])
async def test_a_server_that_does_not_answer_has_given_nothing_up(status):
    watched = await test_analysis.Scene(healthy).set_up()

    seen = await watched.watch(within=timedelta(seconds=5), client=Server(refused(status)))

    assert seen.verdicts[0].status is Status.PASS
