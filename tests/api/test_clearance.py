"""What holds a rollout, shown on the rollout itself: read from the real queue, which stays as it is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.fleet import PostgresFleet
from adapters.postgres.journal import PostgresJournal
from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from domain.errors import NotFound, Unreachable
from domain.fleet import Span
from domain.rollout import EventKind, Phase
from tests.api.staging import Outage
from tests.fleets import a_group, a_window
from tests.projects import a_project, a_rollout_beside, an_entry

GROUP = "gpu-pool-a"
HOUR = timedelta(hours=1)
ALONE = {"group": None, "place": None, "queue_length": None}
NOT_HELD = {"cleared": True, "reason": "", "until": None}


@pytest.fixture
async def pool(database_url):
    made = await open_pool(database_url)
    yield made
    await made.close()


@pytest.fixture
def outage(pool):
    """The registry that the API reads."""
    return PostgresRegistry(pool)


@pytest.fixture
def fleet(pool):
    return Outage(PostgresFleet(pool))


@pytest.fixture
def journal(pool):
    return PostgresJournal(pool)


@pytest.fixture
async def it(api, outage):
    """A project of which each rollout asks the fleet."""
    made = a_project()
    made = replace(made, plan=replace(made.plan, asks_the_fleet=True))
    api.project = str(made.id)
    return await made.store(outage)


@pytest.fixture
async def grouped(it, fleet):
    """Of whose rollouts one at a time advances."""
    await fleet.create_group(a_group(it.id, name=GROUP, limit=1))
    return replace(it, plan=replace(it.plan, group=GROUP))


async def shown(api, rollout):
    answer = await api.get(f"/rollouts/{rollout.id}?live=false")
    assert answer.status_code == 200, answer.text
    return answer.json()["clearance"]


async def freeze(fleet, it, **changes):
    now = datetime.now(UTC)
    times = Span(starts_at=now - HOUR, ends_at=now + HOUR)
    window = a_window(it.id, times=times, **changes)
    await fleet.create_window(window)
    return window


async def enter(journal, rollout, phase):
    await journal.record(rollout.id, [an_entry(phase, EventKind.DECIDED, phase=phase)])


async def test_a_rollout_that_nothing_holds_is_cleared(api, it, outage):
    rollout = await it.start(outage)
    assert await shown(api, rollout) == {**NOT_HELD, **ALONE}


async def test_a_rollout_in_a_queue_shows_its_place_and_how_many_wait(api, grouped, fleet, outage):
    rollouts = [await grouped.start(outage)]
    rollouts += [await a_rollout_beside(outage, grouped) for _ in range(2)]
    for rollout in rollouts:
        await fleet.ask(grouped.id, rollout.id, GROUP)

    first, second, third = [await shown(api, rollout) for rollout in rollouts]
    assert first == {**NOT_HELD, "group": GROUP, "place": 0, "queue_length": 2}
    assert (second["cleared"], second["place"], third["place"]) == (False, 1, 2)
    assert third["reason"] == "2nd in the queue of group gpu-pool-a"
    await fleet.leave(rollouts[0].id)
    assert [(await shown(api, one))["place"] for one in rollouts[1:]] == [0, 1]


async def test_looking_at_a_rollout_takes_no_place_in_the_queue(api, grouped, fleet, outage):
    rollout = await grouped.start(outage)
    for _ in range(2):
        clearance = await shown(api, rollout)
        assert clearance["reason"] == "has yet to ask for its turn in group gpu-pool-a"
        assert (clearance["cleared"], clearance["place"]) == (False, None)
        assert clearance["queue_length"] == 0

    assert (await fleet.policies(grouped.id, GROUP)).queue == ()


async def test_a_rollout_in_a_freeze_shows_why_and_until_when(api, it, fleet, outage):
    rollout = await it.start(outage)
    window = await freeze(fleet, it, name="night")

    clearance = await shown(api, rollout)
    assert not clearance["cleared"]
    assert clearance["reason"].startswith("frozen by 'night' until ")
    assert datetime.fromisoformat(clearance["until"]) == window.times.ends_at
    await fleet.delete_window(it.id, window.id)
    assert (await shown(api, rollout))["cleared"]


async def test_a_freeze_of_another_group_or_project_is_not_shown(api, it, fleet, outage):
    rollout = await it.start(outage)
    await freeze(fleet, it, groups=(GROUP,))
    other = await a_project().store(outage)
    await freeze(fleet, other)

    assert (await shown(api, rollout))["cleared"]


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.PAUSED])
async def test_a_rollout_shows_it_as_long_as_it_may_advance(api, it, outage, journal, phase):
    rollout = await it.start(outage)
    await enter(journal, rollout, phase)
    assert await shown(api, rollout) is not None


@pytest.mark.parametrize(
    "phase", [Phase.ROLLING_BACK, Phase.PROMOTING, Phase.PROMOTED, Phase.ROLLED_BACK]
)
async def test_a_rollout_on_its_way_home_or_at_its_end_asks_nobody(api, it, outage, journal, phase):
    rollout = await it.start(outage)
    await enter(journal, rollout, phase)
    assert await shown(api, rollout) is None


async def test_a_plan_that_does_not_ask_the_fleet_has_no_clearance(api, it, fleet, outage):
    alone = replace(it, plan=replace(it.plan, asks_the_fleet=False))
    rollout = await alone.start(outage)
    await freeze(fleet, it)
    assert await shown(api, rollout) is None


@pytest.mark.parametrize("error", [Unreachable("the fleet is away"), NotFound("no such group")])
async def test_a_fleet_that_does_not_answer_clears_nobody_and_hides_nothing(
    api, grouped, fleet, outage, error
):
    rollout = await grouped.start(outage)
    fleet.error = error
    assert await shown(api, rollout) == {
        "cleared": False,
        "reason": str(error),
        "group": GROUP,
        "place": None,
        "queue_length": None,
        "until": None,
    }
