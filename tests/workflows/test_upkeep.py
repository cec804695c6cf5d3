"""A soak's traffic is kept as it is to be, and a gateway that is late to obey is waited for."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from temporalio import activity

from domain.progress import ActState, Seen
from domain.rollout import EventKind, Phase
from domain.steps import Reaction
from domain.trial_verdicts import Outcome
from tests.plans import ab_test, canary_spec, plan, policies, trial
from tests.workflows.stage import ANA, FAILED, PASSED, acted, done
from tests.workflows.test_ab_test import FAILS, seen
from workflows.rollout import RolloutWorkflow

DRIFT = "backendRefs[1] is 60 %, was written as 10 %"


def late(stage, times):
    """Have the gateway disobey what is put back in the soak at 10 % so many times."""

    def settles(order):
        stage.looks += order.weight == 10
        is_late = order.weight == 10 and 1 < stage.looks <= 1 + times
        return acted(ActState.DISOBEYED, "0 % observed, 10 % written") if is_late else done()

    stage.looks, stage.settles = 0, settles
    stage.analysis.shown = lambda order: (
        Seen(drift=DRIFT) if EventKind.PAUSED not in stage.journal.kinds else PASSED
    )


async def pauses(stage, times):
    await stage.until(lambda: stage.journal.kinds.count(EventKind.PAUSED) == times, "a pause")


async def test_a_resume_writes_again_what_was_put_back_and_not_obeyed(stage):
    late(stage, times=2)
    policy = policies(on_not_settled=Reaction.PAUSE, deadline=timedelta(days=9))
    handle = await stage.start(plan(canary_spec(10, policies=policy)))
    await pauses(stage, 1)
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    await pauses(stage, 2)
    await stage.until(lambda: stage.looks == 3, "another look at the traffic")
    stage.router.tamper(stage.plan.route, stage.plan.slots_at(60), "kubectl-edit")

    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.weights[:4] == [(100, 0), (90, 10), (90, 10), (0, 100)]


async def test_a_hold_ends_when_what_was_put_back_is_obeyed_after_all(stage):
    late(stage, times=1)
    policy = policies(on_not_settled=Reaction.HOLD, deadline=timedelta(days=9))
    handle = await stage.start(plan(canary_spec(10, policies=policy)))
    await pauses(stage, 1)

    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.looks == 3


async def test_a_watch_knows_how_often_the_weights_were_put_back(stage):
    stage.analysis.shown = lambda order: Seen(drift=DRIFT if not order.progress.put_backs else "")
    handle = await stage.start(plan(canary_spec(10)))
    await pauses(stage, 1)
    await handle.execute_update(RolloutWorkflow.resume, ANA)

    await stage.until(lambda: stage.analysis.watching.progress.put_backs == 1, "a watch")
    await handle.execute_update(RolloutWorkflow.abort, ANA)


@pytest.mark.parametrize(("age", "looks"), [(timedelta(hours=1), 2), (timedelta(0), 1)])
async def test_proof_that_is_old_when_it_is_acted_on_is_looked_for_once_more(stage, age, looks):
    """The workers that walk were away: what was proven then may have failed since."""
    findings = [(PASSED, age), (FAILED, timedelta(0))] if looks > 1 else [(PASSED, age)]

    async def report(order):
        found, ago = findings[order.progress.seen.at is not None]
        return replace(found, at=activity.info().started_time - ago)

    stage.analysis.report = report
    handle = await stage.start(plan(canary_spec(50)))

    result = await handle.result()

    assert result.phase is (Phase.PROMOTED if looks == 1 else Phase.ROLLED_BACK)
    assert stage.analysis.watches == looks


@pytest.mark.parametrize("reaction", [Reaction.PAUSE, Reaction.HOLD])
async def test_an_abort_does_not_wait_for_traffic_that_does_not_obey(stage, reaction):
    late(stage, times=1)
    policy = policies(on_not_settled=reaction, deadline=timedelta(days=9))
    handle = await stage.start(plan(canary_spec(10, policies=policy)))
    await pauses(stage, 1)
    disobeys = stage.settles
    stage.settles = lambda order: disobeys(order) if stage.looks < 2 or not order.weight else None
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    await stage.until(lambda: len(stage.traffic.settle_orders) == 4, "another look")

    await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_trial_goes_on_by_its_own_clock_when_its_division_is_obeyed_after_all(stage):
    def settles(order):
        is_first = sum(order.slots[2].weight == 33 for order in stage.traffic.shares_orders) == 2
        return acted(ActState.DISOBEYED if is_first else ActState.DONE, "seen")

    def shown(order):
        clocks.add(order.progress.acted.at)
        return fails(order)

    clocks: set[datetime] = set()
    fails = seen(b=FAILS["b"])
    stage.settles, stage.analysis.shown = settles, shown
    policy = policies(on_not_settled=Reaction.HOLD, deadline=timedelta(days=9))
    handle = await stage.start(ab_test(policies=policy))
    await stage.until(lambda: stage.analysis.watches == 2, "a watch of the division")

    assert stage.analysis.watching.progress.acted.state is ActState.DONE
    assert clocks == {stage.analysis.watching.progress.acted.at}
    stage.analysis.shown = seen(trial(Outcome.EQUIVALENT))
    assert (await handle.result()).phase is Phase.CONCLUDED
