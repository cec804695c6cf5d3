"""The port Fleet: freeze windows, groups, and whose turn it is."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import AlreadyExists, InUse, NotFound, Outdated
from domain.fleet import FleetPolicies, place
from domain.ports import Page
from domain.rollout import EventKind, Phase
from tests.fleets import a_group, a_span, a_week, a_window
from tests.projects import NOW, a_project, a_rollout_beside, an_entry

ALL = Page(limit=50, offset=0)
LATER = NOW + timedelta(hours=1)
CROWD, LIMIT = 50, 3


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


@pytest.fixture
async def group(fleet, it):
    made = a_group(it.id)
    await fleet.create_group(made)
    return made


async def end(journal, rollout):
    await journal.record(rollout.id, [an_entry("end", EventKind.FAILED, phase=Phase.FAILED)])


async def ids_in_order(fleet, group):
    policies = await fleet.policies(group.project_id, group.name)
    return [entry.rollout_id for entry in policies.queue]


@pytest.mark.parametrize(
    "changes",
    [
        {"times": a_span()},
        {"times": a_week("friday", "saturday", zone="Europe/Berlin"), "reason": ""},
        {"groups": ("gpu-pool-a", "gpu-pool-b")},
    ],
    ids=["span", "weekly", "groups"],
)
async def test_a_window_comes_back_as_it_was_stored(fleet, changes):
    window = a_window(**changes)
    await fleet.create_window(window)

    assert await fleet.window(window.project_id, window.id) == window
    policies = await fleet.policies(window.project_id, None)
    assert policies == FleetPolicies(windows=(window,))


async def test_windows_are_changed_and_deleted(fleet):
    window = a_window()
    await fleet.create_window(window)
    after = replace(window, name="easter", times=a_week("sunday"), groups=("a",), updated_at=LATER)
    await fleet.change_window(window, after)

    assert await fleet.window(window.project_id, window.id) == after
    with pytest.raises(Outdated):
        await fleet.change_window(window, after)
    await fleet.delete_window(window.project_id, window.id)
    with pytest.raises(NotFound):
        await fleet.delete_window(window.project_id, window.id)


async def test_the_newest_windows_and_groups_are_listed_first(fleet):
    project = uuid4()
    times = [{"name": f"n{i}", "created_at": NOW + timedelta(seconds=i)} for i in range(3)]
    windows = [a_window(project, **given) for given in times]
    groups = [a_group(project, **given) for given in times]
    for window, group in zip(windows, groups, strict=True):
        await fleet.create_window(window)
        await fleet.create_group(group)

    for listed, things in ((fleet.windows, windows), (fleet.groups, groups)):
        found, total = await listed(project, Page(limit=2, offset=0))
        assert (list(found), total) == ([things[2], things[1]], 3)
        found, total = await listed(project, Page(limit=2, offset=2))
        assert (list(found), total) == ([things[0]], 3)
        found, total = await listed(project, ALL, name="n1")
        assert (list(found), total) == ([things[1]], 1)
        found, total = await listed(uuid4(), ALL)
        assert (list(found), total) == ([], 0)


async def test_a_name_is_taken_once_in_a_project(fleet):
    window, group = a_window(), a_group()
    await fleet.create_window(window)
    await fleet.create_group(group)

    with pytest.raises(AlreadyExists):
        await fleet.create_window(a_window(window.project_id))
    with pytest.raises(AlreadyExists):
        await fleet.create_group(a_group(group.project_id))
    await fleet.create_window(a_window())
    await fleet.create_group(a_group())


async def test_a_limit_can_be_changed(fleet, group):
    after = replace(group, limit=4, updated_at=LATER)
    await fleet.change_group(group, after)

    assert await fleet.group(group.project_id, group.name) == after
    with pytest.raises(Outdated):
        await fleet.change_group(group, after)


async def test_what_another_project_has_is_not_found(fleet, registry, it, group):
    window, stranger = a_window(), uuid4()
    await fleet.create_window(window)
    rollout = await it.start(registry)

    for call in (
        fleet.window(stranger, window.id),
        fleet.delete_window(stranger, window.id),
        fleet.group(stranger, group.name),
        fleet.delete_group(stranger, group.name),
        fleet.policies(stranger, group.name),
        fleet.ask(stranger, rollout.id, group.name),
    ):
        with pytest.raises(NotFound):
            await call
    with pytest.raises(Outdated):
        await fleet.change_window(replace(window, project_id=stranger), window)
    with pytest.raises(Outdated):
        await fleet.change_group(replace(group, project_id=stranger), group)
    await fleet.create_group(a_group(stranger))
    with pytest.raises(NotFound):
        await fleet.ask(stranger, rollout.id, group.name)
    assert await ids_in_order(fleet, group) == []


async def test_rollouts_stand_in_the_order_in_which_they_asked(fleet, registry, it, group):
    first, second = await it.start(registry), await a_rollout_beside(registry, it)
    assert await ids_in_order(fleet, group) == []
    await fleet.ask(it.id, second.id, group.name)
    policies = await fleet.ask(it.id, first.id, group.name)
    again = await fleet.ask(it.id, second.id, group.name)

    assert [entry.rollout_id for entry in policies.queue] == [second.id, first.id]
    assert (policies.group, again) == (group, policies)


async def test_one_that_has_ended_or_left_makes_room(fleet, registry, journal, it, group):
    rollouts = [await it.start(registry)]
    rollouts += [await a_rollout_beside(registry, it) for _ in range(2)]
    for rollout in rollouts:
        await fleet.ask(it.id, rollout.id, group.name)
    await end(journal, rollouts[0])
    assert await ids_in_order(fleet, group) == [rollouts[1].id, rollouts[2].id]

    for _ in range(2):
        await fleet.leave(rollouts[1].id)
        assert await ids_in_order(fleet, group) == [rollouts[2].id]
    await fleet.ask(it.id, rollouts[1].id, group.name)
    assert await ids_in_order(fleet, group) == [rollouts[2].id, rollouts[1].id]


async def test_a_rollout_without_a_group_waits_for_nobody(fleet, registry, it, group):
    rollout = await it.start(registry)
    policies = await fleet.ask(it.id, rollout.id, None)

    assert policies == FleetPolicies(windows=())
    assert await ids_in_order(fleet, group) == []


async def test_a_rollout_that_is_not_there_and_a_group_that_is_not_there_are_not_found(
    fleet, registry, it, group
):
    rollout = await it.start(registry)
    with pytest.raises(NotFound, match="rollout in this project"):
        await fleet.ask(it.id, uuid4(), group.name)
    with pytest.raises(NotFound, match="no rollout group 'gpu-pool-b'"):
        await fleet.ask(it.id, rollout.id, "gpu-pool-b")


async def test_a_group_in_use_stays_and_says_who_uses_it(fleet, registry, journal, it, group):
    rollout = await it.start(registry)
    await fleet.ask(it.id, rollout.id, group.name)
    with pytest.raises(InUse, match=rf"used by rollout of 'chat' \({rollout.id}\)"):
        await fleet.delete_group(it.id, group.name)

    await end(journal, rollout)
    window = a_window(it.id, groups=(group.name,))
    await fleet.create_window(window)
    with pytest.raises(InUse, match="used by freeze window 'black-friday'"):
        await fleet.delete_group(it.id, group.name)

    await fleet.delete_window(it.id, window.id)
    await fleet.delete_group(it.id, group.name)
    with pytest.raises(NotFound):
        await fleet.group(it.id, group.name)


async def test_a_rollout_that_has_yet_to_ask_keeps_its_group(fleet, registry, it, group):
    rollout = await replace(it, plan=replace(it.plan, group=group.name)).start(registry)

    with pytest.raises(InUse, match=rf"used by rollout of 'chat' \({rollout.id}\)"):
        await fleet.delete_group(it.id, group.name)
    await registry.discard_rollout(it.id, rollout.id)
    await fleet.delete_group(it.id, group.name)


async def test_a_discarded_rollout_stands_in_no_queue(fleet, registry, it, group):
    rollout = await it.start(registry)
    await fleet.ask(it.id, rollout.id, group.name)
    await registry.discard_rollout(it.id, rollout.id)

    assert await ids_in_order(fleet, group) == []


async def test_of_many_that_ask_at_once_no_more_than_the_limit_have_their_turn(
    fleet, registry, journal, it
):
    """Everybody asks until it had its turn; who has it says so, and ends."""
    group = a_group(it.id, limit=LIMIT)
    await fleet.create_group(group)
    rollouts = [await a_rollout_beside(registry, it) for _ in range(CROWD)]
    having, most = set(), set()

    async def has_its_turn(rollout):
        policies = await fleet.ask(it.id, rollout.id, group.name)
        return place(policies.queue, policies.group.limit, rollout.id) == 0

    async def walk(rollout):
        while not await has_its_turn(rollout):  # noqa: ASYNC110 - asking is what is tested
            await asyncio.sleep(0)
        having.add(rollout.id)
        assert await has_its_turn(rollout)
        most.add(len(having))
        having.remove(rollout.id)
        await end(journal, rollout)

    await asyncio.gather(*map(walk, rollouts))
    assert max(most) <= LIMIT
    assert await ids_in_order(fleet, group) == []


async def test_many_that_ask_at_once_all_get_a_place_of_their_own(fleet, registry, it):
    group = a_group(it.id, limit=LIMIT)
    await fleet.create_group(group)
    rollouts = [await a_rollout_beside(registry, it) for _ in range(CROWD)]
    await asyncio.gather(*(fleet.ask(it.id, one.id, group.name) for one in rollouts))

    queue = (await fleet.policies(it.id, group.name)).queue
    places = sorted(place(queue, LIMIT, rollout.id) for rollout in rollouts)
    assert places == [0] * LIMIT + list(range(1, CROWD - LIMIT + 1))
