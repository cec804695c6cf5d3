"""Scaling the candidate: the walk goes on once its replicas have joined, and not before."""

from dataclasses import replace
from datetime import timedelta

from domain.rollout import EventKind, Phase
from domain.steps import Reaction
from domain.strategies.canary_steps import Analysis, Scale, Weight
from tests.domain.test_strategies import canary
from tests.plans import plan, policies
from tests.workflows.stage import ANA, PASSED
from workflows.rollout import RolloutWorkflow

HOUR = timedelta(hours=1)
# Looks take real time.
SOON = timedelta(milliseconds=50)
JUDGED = Analysis(at_most=timedelta(minutes=10))


async def told(stage, *kinds):
    await stage.until(lambda: set(kinds) <= set(stage.journal.kinds), kinds)


async def scaling(stage, *, within=HOUR, **reactions):
    """A canary that gives the candidate 10 % and then scales it to 3; index 2 of its steps."""
    made = plan(canary(Weight(weight=10), Scale(replicas=3), JUDGED))
    made = replace(made, policies=policies(deploy_deadline=within, **reactions))
    stage.analysis.shown = lambda order: PASSED
    return await stage.start(made)


async def test_nothing_goes_on_before_the_replicas_have_joined(stage):
    stage.runtime.room = 2
    handle = await scaling(stage)
    await stage.until(lambda: stage.runtime.replicas, "the scaling")
    await stage.until(lambda: stage.runtime.looked_for(3) > 2, "a third look")
    assert stage.analysis.watches == 0
    stage.runtime.room = 3

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_replicas_that_do_not_join_in_time_send_it_home(stage):
    stage.runtime.room = 2
    handle = await scaling(stage, within=SOON)

    result = await handle.result()
    assert result.phase is Phase.ROLLED_BACK
    assert result.reason.endswith("was not scaled in time: 2 of 3 replicas are ready")


async def test_an_abort_does_not_wait_for_replicas(stage):
    stage.runtime.room = 2
    handle = await scaling(stage)
    await stage.until(lambda: stage.runtime.looked_for(3), "a look at the replicas")
    await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_replicas_that_come_late_end_a_hold(stage):
    stage.runtime.room = 2
    handle = await scaling(stage, within=timedelta(0), on_not_ready=Reaction.HOLD)
    await stage.until(lambda: stage.runtime.looked_for(3) > 2, "looks again")
    stage.runtime.room = 3

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_a_resume_looks_for_replicas_again(stage):
    stage.runtime.room = 2
    handle = await scaling(stage, within=timedelta(0), on_not_ready=Reaction.PAUSE)
    await told(stage, EventKind.PAUSED)
    stage.runtime.room = 3
    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_a_scale_that_somebody_changes_before_it_has_settled_pauses(stage):
    stage.runtime.room = 2
    handle = await scaling(stage)
    await stage.until(lambda: stage.runtime.looked_for(3), "a look at the replicas")
    stage.runtime.tamper(stage.plan.candidate.workload, 1)
    await told(stage, EventKind.DRIFTED, EventKind.PAUSED)
    stage.runtime.room = 3
    assert stage.runtime.replicas[stage.plan.candidate.workload.name] == 1
    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.runtime.replicas[stage.plan.candidate.workload.name] == 3


async def test_a_scale_that_is_put_back_in_a_soak_is_seen_to_join(stage):
    drifted = replace(PASSED, drift="minReplicas is 1, was written as 3")
    stage.analysis.shown = lambda order: drifted
    handle = await stage.start(plan(canary(Weight(weight=10), Scale(replicas=3), JUDGED)))
    await told(stage, EventKind.PAUSED)
    await stage.until(lambda: stage.analysis.watches == 2, "the watch of a pause")
    stage.runtime.tamper(stage.plan.candidate.workload, 1)
    stage.analysis.shown, stage.runtime.room = (lambda order: PASSED), 2
    watches, looks = stage.analysis.watches, stage.runtime.looked_for(3)
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    await stage.until(lambda: stage.runtime.looked_for(3) > looks + 1, "a second look")
    assert stage.analysis.watches == watches
    stage.runtime.room = 3

    assert (await handle.result()).phase is Phase.PROMOTED
