"""A rollout among others: what a freeze holds up, and what it does not."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.fleet import Span
from domain.progress import ActState, Seen
from domain.rollout import Phase
from domain.verdicts import Status
from tests.fakes.fleet import MemoryFleet
from tests.fleets import a_window
from tests.plans import PROJECT, canary_spec, plan, policies, verdict
from tests.workflows.stage import ANA, FAILED, PASSED, acted, done
from workflows.rollout import RolloutWorkflow

HOUR = timedelta(hours=1)


@pytest.fixture
def fleet_bound():
    return bound()


def bound(**terms):
    """A plan that asks the fleet, with these policies."""
    return replace(plan(canary_spec(10, 50, policies=policies(**terms))), asks_the_fleet=True)


async def freeze(stage):
    now = datetime.now(UTC)
    window = a_window(PROJECT, times=Span(starts_at=now - HOUR, ends_at=now + HOUR))
    await stage.fleet.create_window(window)
    return window


async def thaw(stage, window):
    await stage.fleet.delete_window(PROJECT, window.id)


def doing(stage):
    return stage.handle.query(RolloutWorkflow.describe)


async def held(stage):
    """Returns once the rollout says that the fleet holds it."""
    for _ in range(600):
        if "fleet's clearance" in (await doing(stage)).reason:
            return
        await asyncio.sleep(0.02)
    raise AssertionError((await doing(stage)).reason)


async def test_without_a_freeze_nothing_is_held_up(stage, fleet_bound):
    handle = await stage.start(fleet_bound)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.weights == [(100, 0), (90, 10), (50, 50), (0, 100), (0, 100)]


async def test_nothing_is_begun_in_a_freeze(stage, fleet_bound):
    window = await freeze(stage)
    handle = await stage.start(fleet_bound)
    await held(stage)
    assert stage.weights == []

    await thaw(stage, window)

    assert (await handle.result()).phase is Phase.PROMOTED


@pytest.fixture
async def frozen_at_10(stage, fleet_bound):
    """Proven at 10 %, when the freeze begins."""
    stage.analysis.shown = lambda order: Seen()
    await stage.start(fleet_bound)
    await stage.soaking_at(10)
    stage.window = await freeze(stage)
    stage.analysis.shown = lambda order: PASSED
    await held(stage)
    return stage.handle


async def test_a_proven_candidate_gets_no_more_traffic_in_a_freeze(stage, frozen_at_10):
    assert stage.weights[-1] == (90, 10)

    await thaw(stage, stage.window)

    assert (await frozen_at_10.result()).phase is Phase.PROMOTED


async def test_a_failing_gate_goes_home_in_a_freeze(stage, frozen_at_10):
    stage.analysis.shown = lambda order: FAILED

    assert (await frozen_at_10.result()).phase is Phase.ROLLED_BACK


async def test_evidence_that_is_lost_again_lets_nothing_advance_when_the_freeze_is_over(
    stage, frozen_at_10
):
    away = Seen(verdicts=(verdict(Status.UNDECIDED),))
    looks = stage.analysis.watches
    stage.analysis.shown = lambda order: away
    await thaw(stage, stage.window)
    await stage.until(lambda: stage.analysis.watches > looks, "another look")
    assert stage.weights[-1] == (90, 10)

    stage.analysis.shown = lambda order: PASSED

    assert (await frozen_at_10.result()).phase is Phase.PROMOTED


async def test_leave_that_was_not_taken_does_not_last_into_the_next_freeze(stage, frozen_at_10):
    stage.analysis.shown = lambda order: Seen(verdicts=(verdict(Status.UNDECIDED),))
    await thaw(stage, stage.window)
    await stage.until(lambda: stage.analysis.watching.progress.asking is None, "nothing is asked")
    window = await freeze(stage)
    stage.analysis.shown = lambda order: PASSED
    await held(stage)
    assert stage.weights[-1] == (90, 10)

    await thaw(stage, window)

    assert (await frozen_at_10.result()).phase is Phase.PROMOTED


async def test_an_abort_goes_home_in_a_freeze(stage, frozen_at_10):
    reply = await frozen_at_10.execute_update(RolloutWorkflow.abort, ANA)

    assert reply.message == "all traffic is sent to stable"
    assert (await frozen_at_10.result()).phase is Phase.ROLLED_BACK


async def test_a_promotion_past_traffic_that_nobody_sees_is_asked_for_once(stage, fleet_bound):
    silent = acted(ActState.SILENT, "no request has come by")
    stage.settles = lambda order: silent if order.weight == 10 else done()
    handle = await stage.start(fleet_bound)
    await stage.until(lambda: (90, 10) in stage.weights)
    window = await freeze(stage)

    await handle.execute_update(RolloutWorkflow.promote, ANA)
    await held(stage)
    await thaw(stage, window)

    assert (await handle.result()).phase is Phase.PROMOTED
    history = await handle.fetch_history()
    asked = [e for e in history.events if "fleet.await_clearance" in str(e)]
    assert len(asked) == 3, "to begin, for 10 % and for 100 %"


async def test_evidence_that_comes_and_goes_in_a_freeze_asks_the_fleet_once(stage, frozen_at_10):
    looks, shown = stage.analysis.watches, []

    def flapping(order):
        shown.append(order)
        return PASSED if len(shown) % 2 else Seen(verdicts=(verdict(Status.UNDECIDED),))

    stage.analysis.shown = flapping
    await stage.until(lambda: len(shown) > 20, "evidence that comes and goes")
    assert stage.analysis.watches - looks <= 1

    stage.analysis.shown = lambda order: PASSED
    await thaw(stage, stage.window)
    assert (await frozen_at_10.result()).phase is Phase.PROMOTED


async def test_a_person_s_promotion_waits_for_the_end_of_the_freeze(stage, frozen_at_10):
    await frozen_at_10.execute_update(RolloutWorkflow.promote, ANA)
    await held(stage)
    assert stage.weights[-1] == (90, 10)

    await thaw(stage, stage.window)

    assert (await frozen_at_10.result()).phase is Phase.PROMOTED
    assert stage.weights[-2:] == [(0, 100), (0, 100)]


class Stumbling(MemoryFleet):
    """Fails so often before it answers: between its tries, the server skips time."""

    def __init__(self, registry, times):
        super().__init__(registry)
        self.left = times

    async def ask(self, project_id, rollout_id, group):
        if self.left:
            self.left -= 1
            raise RuntimeError("stumbled")
        return await super().ask(project_id, rollout_id, group)


async def test_the_time_before_it_may_begin_does_not_count_towards_the_deadline(stage):
    stage.fleet = Stumbling(stage.registry, times=8)
    await stage.restart_workers()
    handle = await stage.start(bound(deadline=timedelta(seconds=20)))

    assert (await handle.result()).phase is Phase.PROMOTED
    history = await handle.fetch_history()
    began, *_, ended = (event.event_time.ToDatetime() for event in history.events)
    assert ended - began > timedelta(seconds=30), "it was held for longer than its deadline"


async def test_a_rollout_whose_time_was_over_in_a_freeze_still_has_its_own(stage):
    """The timer of its deadline goes off while the fleet holds it, and once more when it is late."""
    stage.fleet = Stumbling(stage.registry, times=8)
    stage.analysis.shown = lambda order: Seen()
    await stage.restart_workers()
    handle = await stage.start(bound(deadline=timedelta(seconds=2)))

    result = await handle.result()
    assert result.phase is Phase.ROLLED_BACK
    assert "did not end within 2 s, beside" in result.reason


async def test_what_the_fleet_has_taken_is_told_to_the_watch(stage, frozen_at_10):
    def progress():
        return stage.analysis.watching.progress

    await stage.until(lambda: progress().held_since is not None, "a watch while it is held")
    before = progress().held_for
    stage.analysis.shown = lambda order: Seen()
    stage.analysis.must_report = True

    await stage.until(lambda: progress().held_since is None, "a watch that nothing holds")
    assert progress().held_for > before


async def test_the_fleet_s_time_is_bounded_before_a_rollout_begins(stage):
    await freeze(stage)
    handle = await stage.start(bound(clearance_deadline=timedelta(seconds=1)))

    result = await handle.result()
    assert result.phase is Phase.ROLLED_BACK
    assert result.reason == "the fleet did not clear the rollout within 1 s"
    assert (100,) not in stage.weights[:-1], "nothing was begun"


async def test_the_fleet_s_time_is_bounded_in_all(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(bound(clearance_deadline=timedelta(seconds=2)))
    await stage.soaking_at(10)
    await freeze(stage)
    stage.analysis.shown = lambda order: PASSED

    result = await handle.result()
    assert result.phase is Phase.ROLLED_BACK
    assert result.reason == "the fleet did not clear the rollout within 2 s"
    assert stage.weights[:3] == [(100, 0), (90, 10), (100, 0)]
