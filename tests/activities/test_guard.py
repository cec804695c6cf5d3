"""The patrol: which rollouts it calls abandoned, and whom it asks about how many."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.guard import ASKED_SINGLY, GuardActivities
from activities.payloads import MOST_BYTES
from bootstrap.converting import DATA_CONVERTER
from domain.errors import Forbidden, Refused, Unreachable
from domain.rollout import Phase, Rollout
from tests.projects import a_project, a_rollout

ROUND, SHIFT = timedelta(milliseconds=5), timedelta(seconds=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Runs:
    """Knows what runs; its list may lag. `asked` keeps what it was asked about singly."""

    def __init__(self, running):
        self.running = set(running)
        self.late = frozenset(running)
        self.asked = []
        self.trouble = []

    async def is_running(self, workflow_id):
        self.asked.append(workflow_id)
        return workflow_id in self.running

    async def listed(self):
        if self.trouble:
            raise self.trouble.pop()
        return self.late


class Registry:
    def __init__(self, rollouts):
        self.rollouts = rollouts

    async def unfinished(self):
        return self.rollouts


def walking(number, **changes):
    given = {"phase": Phase.PROGRESSING, "created_at": LONG_AGO} | changes
    made = [a_rollout(a_project().plan, **given) for _ in range(number)]
    return made, Runs(each.workflow_id for each in made)


async def patrol(rollouts, runs, shift=SHIFT):
    guard = GuardActivities(Registry(rollouts), runs, shift=shift, every=ROUND)
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    return await environment.run(guard.patrol)


@pytest.mark.parametrize("number", [3, ASKED_SINGLY + 5])
async def test_a_rollout_that_no_run_walks_is_abandoned(number):
    rollouts, runs = walking(number)
    runs.running.remove(rollouts[1].workflow_id)
    runs.late = frozenset(runs.running)
    assert await patrol(rollouts, runs) == (rollouts[1],)


async def test_of_many_only_those_that_the_list_does_not_name_are_asked_about():
    rollouts, runs = walking(ASKED_SINGLY + 5)
    runs.late = frozenset(runs.running - {rollouts[0].workflow_id})
    assert await patrol(rollouts, runs, shift=ROUND * 5) == ()
    assert set(runs.asked) == {rollouts[0].workflow_id}


async def test_a_few_are_asked_about_one_by_one_for_lists_lag():
    rollouts, runs = walking(2)
    runs.running.clear()
    assert set(await patrol(rollouts, runs)) == set(rollouts)


async def test_after_a_mass_cut_off_each_patrol_returns_what_one_payload_carries():
    rollouts, runs = walking(600)
    runs.running.clear()
    runs.late = frozenset()
    found: list[Rollout] = []
    patrols = 0
    while len(found) < len(rollouts):
        share = await patrol(rollouts, runs)
        (payload,) = DATA_CONVERTER.payload_converter.to_payloads([share])
        assert share
        assert payload.ByteSize() <= MOST_BYTES
        runs.running.update(one.workflow_id for one in share)
        found += share
        patrols += 1
    assert found == rollouts
    assert patrols > 1, "the test would show nothing"


async def test_a_list_that_cannot_be_had_makes_nobody_look_abandoned():
    rollouts, runs = walking(ASKED_SINGLY + 1)
    runs.trouble = [Unreachable()] * 3
    assert await patrol(rollouts, runs, shift=ROUND * 10) == ()


@pytest.mark.parametrize("error", [Forbidden("key rotated"), Refused("odd"), Unreachable("away")])
async def test_a_round_that_fails_for_whatever_reason_is_followed_by_the_next(error):
    rollouts, runs = walking(ASKED_SINGLY + 1)
    lost = rollouts[0]
    runs.running.remove(lost.workflow_id)
    runs.late = frozenset(runs.running)
    runs.trouble = [error]
    assert await patrol(rollouts, runs) == (lost,)


async def test_a_row_that_was_just_written_is_given_time_to_start():
    rollouts, runs = walking(1, phase=Phase.PENDING, created_at=datetime.now(UTC))
    runs.running.clear()
    assert await patrol(rollouts, runs, shift=ROUND * 5) == ()
