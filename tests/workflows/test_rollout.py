"""The life of a rollout, walked on a real Temporal server with time skipped."""

from domain.rollout import EventKind, Phase
from tests.plans import canary_spec, plan
from tests.workflows.stage import FAILED


async def test_a_proven_candidate_is_promoted_and_the_former_stable_retired(stage):
    handle = await stage.start(plan(canary_spec(10, 50)))

    result = await handle.result()

    assert result.phase is Phase.PROMOTED
    assert stage.weights == [(100, 0), (90, 10), (50, 50), (0, 100), (0, 100)]
    assert list(stage.runtime.deployed) == [("serving", stage.plan.candidate.workload.name)]
    assert list(stage.router.connected) == [("serving", stage.plan.candidate.workload.name)]
    slots = (await stage.router.observe(stage.plan.route)).slots
    assert {slot.workload for slot in slots} == {stage.plan.candidate.workload.name}
    assert EventKind.PROMOTED in stage.journal.kinds


async def test_a_failing_gate_sends_all_traffic_home_first(stage):
    stage.analysis.shown = lambda order: FAILED
    handle = await stage.start(plan(canary_spec(10, 50)))

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert result.reason == "Errors are 3 times stable's."
    assert stage.weights == [(100, 0), (90, 10), (100, 0), (100,)]
    assert list(stage.runtime.deployed) == [("serving", stage.plan.stable.workload.name)]
