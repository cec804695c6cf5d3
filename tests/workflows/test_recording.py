"""What a rollout tells the registry, and that nothing it has told is lost."""

from domain.errors import Conflict
from domain.progress import Seen
from domain.rollout import EventKind, Phase
from tests.plans import canary_spec, plan
from tests.workflows.stage import ANA, FAILED
from workflows.rollout import RolloutWorkflow


async def test_whoever_joins_or_leaves_is_told_with_the_weights_of_both(stage):
    """An earlier run, reset or terminated, may have left others: alone they would not add up."""
    handle = await stage.start(plan(canary_spec(10)))
    await handle.result()
    promoted = [e for e in stage.journal.entries if e.joined or e.left]

    assert [(e.kind, e.weights) for e in promoted] == [
        (EventKind.DEPLOYED, {"stable": 100, "canary": 0}),
        (EventKind.RETIRED, {"stable": 0, "canary": 100}),
    ]


async def test_a_candidate_that_leaves_is_told_with_the_weights_of_both(stage):
    stage.analysis.shown = lambda order: FAILED
    handle = await stage.start(plan(canary_spec(10)))
    await handle.result()

    gone = next(e for e in stage.journal.entries if e.left)
    assert (gone.kind, gone.weights) == (
        EventKind.ROLLED_BACK,
        {"stable": 100, "canary": 0},
    )


async def test_a_refused_history_is_told_again_and_the_rollout_ends(stage):
    stage.journal.trouble = Conflict("the weights sum to 80")
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert stage.journal.kinds == []

    stage.journal.trouble = None
    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert stage.journal.kinds[0] is EventKind.STARTED
    assert stage.journal.kinds[-1] is EventKind.ROLLED_BACK
