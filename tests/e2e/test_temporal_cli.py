"""What operators do from the Temporal CLI, behind the API's back."""

import json

from tests.e2e.served import LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on


@together
async def test_a_terminated_rollout_is_brought_home_by_the_guardian(scene):
    served = await scene.serve("terminated")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await scene.temporal("terminate", "--workflow-id", rollout.workflow_id, "--reason", "oops")
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert "the guardian took over" in ended["phase_reason"]
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")
    await rollout.told("recovered", "cut off")


@together
async def test_a_rollout_terminated_after_its_promotion_goes_onward(scene):
    served = await scene.serve("terminated-late")
    async with served.load() as load:
        rollout = await served.start(steps=LONG, policies={"scale_down_delay_seconds": 60})
        await rollout.soaking()
        await rollout.command("promote", actor="ana")
        await rollout.told("promoted")
        await scene.temporal("terminate", "--workflow-id", rollout.workflow_id)
        await rollout.ended("promoted")
        assert await served_from_now_on(load) == {rollout.candidate}

    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    assert "recovered" in await rollout.kinds()


@together
async def test_a_rollout_terminated_while_deploying_leaves_nothing_behind(scene):
    served = await scene.serve("terminated-early", candidate="load_seconds=60")
    async with served.load() as load:
        rollout = await served.start()
        await rollout.told("step_started", "deploy")
        await scene.temporal("terminate", "--workflow-id", rollout.workflow_id)
        await rollout.ended("rolled_back")

    assert {one.variant for one in load.timeline.outcomes()} == {rollout.stable}
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_rollout_that_the_guardian_walks_still_tells_its_state(scene):
    served = await scene.serve("recovering")
    async with served.load():
        # The drain keeps the rollback under way for long enough to be asked.
        rollout = await served.start(steps=LONG, policies={"drain_seconds": 5})
        await rollout.soaking()
        await scene.temporal("terminate", "--workflow-id", rollout.workflow_id)
        await rollout.told("recovered")
        await rollout.told("weights_set", "all traffic is sent to stable")
        found = await rollout.look()
        assert found["live"] is not None, found["live_unavailable"]
        assert found["live"]["rollback_since"] is not None
        await rollout.ended("rolled_back")
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_rollout_reset_to_its_beginning_walks_again_to_its_end(scene):
    served = await scene.serve("reset")
    async with served.load(50) as load:
        rollout = await served.start(steps=[{"weight": 20, "soak_seconds": 8, "pace": "time"}])
        await rollout.soaking()
        before = await served.weights()
        await _reset(scene, rollout, "--type", "FirstWorkflowTask")
        await rollout.ended("promoted", within=90)
        assert await served_from_now_on(load) == {rollout.candidate}

    assert before == {rollout.stable: 80, rollout.candidate: 20}
    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    assert len(await rollout.events("started")) == 2, "the history shows both walks"


@together
async def test_a_rollout_reset_to_an_earlier_weight_puts_it_back_and_goes_on(scene):
    served = await scene.serve("reset-later")
    async with served.load(50) as load:
        rollout = await served.start(
            steps=[
                {"weight": 20, "soak_seconds": 60},
                {"weight": 50, "soak_seconds": 5, "pace": "time"},
            ]
        )
        await rollout.soaking(20)
        await rollout.soaking(50)
        event = await _task_before(scene, rollout, "analysis.watch")
        await _reset(scene, rollout, "--event-id", event)
        await rollout.told("drifted", "by an earlier run", "put back")
        await rollout.ended("promoted", within=90)
        assert await served_from_now_on(load) == {rollout.candidate}

    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    assert "paused" not in await rollout.kinds(), "it was nobody else's doing"


@together
async def test_a_cancelled_rollout_goes_home(scene):
    served = await scene.serve("cancelled")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await scene.temporal("cancel", "--workflow-id", rollout.workflow_id)
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert ended["phase_reason"] == "the workflow was cancelled"
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_rollout_cancelled_while_deploying_leaves_nothing_behind(scene):
    served = await scene.serve("cancelled-early", candidate="load_seconds=20")
    async with served.load() as load:
        rollout = await served.start()
        await rollout.told("step_started", "deploy")
        await scene.temporal("cancel", "--workflow-id", rollout.workflow_id)
        await rollout.ended("rolled_back")

    assert {one.variant for one in load.timeline.outcomes()} == {rollout.stable}
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_an_abort_signal_without_input_is_obeyed(scene):
    served = await scene.serve("signalled")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await _signal(scene, rollout, "abort")
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert ended["phase_reason"] == "aborted by temporal"
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_signals_with_input_say_who_and_why(scene):
    served = await scene.serve("signalled-well")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        said = json.dumps({"actor": "ops", "reason": "an incident"})
        await _signal(scene, rollout, "pause", "--input", said)
        await rollout.told("paused", "pause by ops: an incident")
        await _signal(scene, rollout, "resume", "--input", said)
        await rollout.told("resumed", "resume by ops")
        await _signal(scene, rollout, "abort", "--input", said)
        ended = await rollout.ended("rolled_back")

    assert ended["phase_reason"] == "aborted by ops: an incident"
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_signal_that_cannot_be_read_wedges_nothing(scene):
    served = await scene.serve("mumbled")
    async with served.load():
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await _signal(scene, rollout, "abort", "--input", json.dumps(["what", 1]))
        await _signal(scene, rollout, "applaud")
        answer = await rollout.command("abort", actor="ana")
        assert answer["message"] == "all traffic is sent to stable"
        await rollout.ended("rolled_back")
    await served.at_rest(rollout.stable, "v1")


async def _signal(scene, rollout, name, *words):
    await scene.temporal("signal", "--workflow-id", rollout.workflow_id, "--name", name, *words)


async def _reset(scene, rollout, *where):
    words = ("reset", "--workflow-id", rollout.workflow_id, "--reason", "a test", *where)
    await scene.temporal(*words)


async def _task_before(scene, rollout, activity):
    """The ID of the workflow task that ordered the first activity of this type."""
    for event in await scene.history(rollout.workflow_id):
        ordered = event.get("activityTaskScheduledEventAttributes", {})
        if ordered.get("activityType", {}).get("name") == activity:
            return ordered["workflowTaskCompletedEventId"]
    raise AssertionError(f"no activity {activity}")
