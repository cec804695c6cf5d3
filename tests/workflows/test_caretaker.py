"""The caretaker: operations that were cut off, and variants whose time on the cluster is over."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.division import promoted
from domain.operations import ChangeKind, OperationPhase
from domain.progress import ActState
from domain.registry import TrafficConfig, VariantStatus
from tests.projects import NOW
from tests.workflows.play import WINDOW, Play
from tests.workflows.stage import acted
from workflows.caretaker import CaretakerWorkflow


@pytest.fixture
async def caretaker(stage):
    handle = await stage.client.start_workflow(
        CaretakerWorkflow.run, id=f"caretaker-{stage.queue}", task_queue=stage.queue
    )
    yield handle
    await handle.terminate()


@pytest.fixture
async def play(stage):
    """A config that the registry knows, on the cluster."""
    made = Play(stage)
    await made.it.store(stage.registry)
    return await made.stands(made.config.variants)


async def ended(stage, operation_id):
    await stage.until(lambda: operation_id in stage.journal.endings, "the operation's end")
    return stage.journal.endings[operation_id]


async def test_an_operation_whose_run_was_terminated_is_taken_back(stage, play, caretaker):
    stage.settles = lambda order: (
        None if [s.weight for s in order.slots] == [90, 10] else acted(ActState.DONE, "seen")
    )
    operation = play.operation(ChangeKind.ADD_VARIANT, play.with_canary())
    await stage.registry.begin(operation)
    stage.handle = await play.begin(operation)
    await stage.until(lambda: (90, 10) in play.weights)
    await stage.handle.terminate()
    stage.settles = lambda order: acted(ActState.DONE, "seen")

    ending = await ended(stage, operation.id)

    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Cancelled")
    assert play.weights[-1] == (100,)
    assert play.deployed == ["v1"]
    assert (await stage.registry.config(play.it.id, play.config.id)) == play.config


async def test_an_operation_whose_workflow_never_started_is_closed(stage, play, caretaker):
    operation = play.operation(ChangeKind.ADD_VARIANT, play.with_canary())
    await stage.registry.begin(operation)

    ending = await ended(stage, operation.id)

    assert ending.phase is OperationPhase.UNDONE
    assert {len(weights) for weights in play.weights} <= {1}
    assert await stage.registry.live_operation(play.it.id, play.config.id) is None


async def test_an_operation_that_is_carried_out_is_left_alone(stage, play, caretaker):
    stage.settles = lambda order: None
    operation = play.operation(ChangeKind.ADD_VARIANT, play.with_canary())
    await stage.registry.begin(operation)
    stage.handle = await play.begin(operation)
    await stage.until(lambda: len(stage.traffic.shares_orders) == 1)
    await asyncio.sleep(0.5)
    assert stage.journal.endings == {}
    stage.settles = lambda order: acted(ActState.DONE, "seen")
    assert (await stage.handle.result()).phase is OperationPhase.DONE


async def test_a_former_stable_is_retired_when_its_window_is_over(stage, play, caretaker):
    await play.stands(play.with_canary())
    after = promoted(play.config.variants, "canary", now=NOW, window=WINDOW)
    await play.stands(after)
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    kept = tuple(replace(v, retire_at=v.retire_at and soon) for v in after)
    stage.registry.change(play.it.config, variants=kept)

    def retired():
        config = stage.registry.things[TrafficConfig][play.config.id]
        return [v.status for v in config.variants if v.name == "old-stable-1"] == [
            VariantStatus.RETIRED
        ]

    await stage.until(retired, "the former stable is retired")
    await stage.until(lambda: play.deployed == ["v2"], "its InferenceService is gone")
    assert stage.router.weights(play.config.route)[-1] == 100
