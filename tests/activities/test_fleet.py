"""Waiting for clearance: what is waited for, what is said of it, and when it ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities import heartbeats
from activities.fleet import ClearanceOrder, FleetActivities
from domain.errors import Unreachable
from domain.fleet import Clearance
from tests.fakes.fleet import MemoryFleet
from tests.fakes.registry import MemoryRegistry
from tests.fleets import HOUR, a_group, a_span, a_window
from tests.projects import a_project

EVERY = timedelta(milliseconds=2)
GROUP = "gpu-pool-a"


class Scene:
    """A project with one rollout, a group of one, and whoever is asked before."""

    def __init__(self):
        self.registry = MemoryRegistry()
        self.fleet = MemoryFleet(self.registry)
        self.activities = FleetActivities(self.fleet, every=EVERY)

    async def begin(self):
        self.it = await a_project().store(self.registry)
        self.rollout = await self.it.start(self.registry)
        await self.fleet.create_group(a_group(self.it.id))
        return self

    def order(self, *, group=GROUP, within=HOUR):
        return ClearanceOrder(
            rollout_id=self.rollout.id,
            project_id=self.it.id,
            group=group,
            deadline=datetime.now(UTC) + within,
        )

    async def freeze(self):
        now = datetime.now(UTC)
        times = a_span(starts_at=now - HOUR, ends_at=now + HOUR)
        window = a_window(self.it.id, times=times)
        await self.fleet.create_window(window)
        return window

    async def somebody_first(self):
        """Another rollout of the project, which has its turn."""
        other = replace(self.rollout, id=self.it.config.id)
        self.registry.things[type(other)][other.id] = other
        await self.fleet.ask(self.it.id, other.id, GROUP)
        return other


@pytest.fixture
async def scene():
    return await Scene().begin()


@pytest.fixture
def heard(monkeypatch):
    """What the activity says to its heartbeats, and a wait until it says something like it."""
    said: list[str] = []
    monkeypatch.setattr("activities.fleet.say", said.append)

    async def until(words):
        async with asyncio.timeout(20):
            while not any(words in one for one in said):  # noqa: ASYNC110 - nobody else would set an event
                await asyncio.sleep(0.001)

    return until


async def waits(scene, **order):
    run = ActivityEnvironment().run(scene.activities.await_clearance, scene.order(**order))
    return asyncio.ensure_future(run)


async def test_one_that_nothing_holds_is_cleared_at_once(scene):
    assert await (await waits(scene)) == Clearance(cleared=True)
    assert await (await waits(scene, group=None)) == Clearance(cleared=True)


async def test_a_freeze_is_waited_out_and_told(scene, heard):
    window = await scene.freeze()
    waiting = await waits(scene)
    await heard("frozen by 'black-friday' until ")
    assert not waiting.done()
    await scene.fleet.delete_window(scene.it.id, window.id)

    assert (await waiting).cleared


async def test_its_turn_is_waited_for_and_its_place_told(scene, heard):
    other = await scene.somebody_first()
    waiting = await waits(scene)
    await heard("1st in the queue of group gpu-pool-a")
    assert not waiting.done()
    await scene.activities.leave(other.id)

    assert (await waiting).cleared


async def test_at_the_deadline_it_says_what_stands_in_the_way(scene):
    await scene.somebody_first()
    window = await scene.freeze()
    given = await (await waits(scene, within=timedelta(0)))

    assert (given.cleared, given.until, given.place) == (False, window.times.ends_at, 1)
    assert given.reason.endswith("; 1st in the queue of group gpu-pool-a")


async def test_a_database_that_is_away_clears_nobody_and_is_told(scene, heard, monkeypatch):
    async def away(*_):
        raise Unreachable("the registry's database does not answer")

    with monkeypatch.context() as outage:
        outage.setattr(scene.fleet, "ask", away)
        late = await (await waits(scene, within=timedelta(0)))
        assert late == Clearance(cleared=False, reason="the registry's database does not answer")
        waiting = await waits(scene)
        await heard("does not answer")
        assert not waiting.done()

    assert (await waiting).cleared


async def test_a_group_that_is_not_there_clears_nobody_until_it_is(scene, heard):
    waiting = await waits(scene, group="gpu-pool-b")
    await heard("there is no rollout group 'gpu-pool-b'")
    assert not waiting.done()
    await scene.fleet.create_group(a_group(scene.it.id, name="gpu-pool-b"))

    assert (await waiting).cleared


async def test_a_look_that_is_cut_off_keeps_its_place(scene, heard):
    other = await scene.somebody_first()
    first = await waits(scene)
    await heard("1st in the queue")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    last = replace(scene.rollout, id=scene.it.service.id)
    scene.registry.things[type(last)][last.id] = last
    await scene.fleet.ask(scene.it.id, last.id, GROUP)
    await scene.activities.leave(other.id)

    assert (await (await waits(scene))).cleared


def test_what_is_said_reaches_the_heartbeat():
    assert FleetActivities.await_clearance.__globals__["say"] is heartbeats.say
