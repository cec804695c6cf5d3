"""The guardian: what happens to traffic whose run was cut off from outside."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.progress import Seen
from domain.rollout import Phase, Rollout
from tests.plans import PROJECT, canary_spec, plan
from workflows.guardian import GuardianWorkflow


def registered(stage, phase: Phase) -> Rollout:
    """The rollout on stage as the registry would know it."""
    now = datetime.now(UTC)
    return Rollout(
        id=UUID(stage.rollout_id),
        project_id=PROJECT,
        config_id=stage.plan.route.config_id,
        plan=stage.plan,
        phase=phase,
        phase_reason="",
        step=2,
        candidate_weight=10,
        actor="ana",
        reason="",
        workflow_id=stage.handle.id,
        run_id=None,
        created_at=now,
        updated_at=now,
        ended_at=None,
    )


@pytest.fixture
async def guardian(stage):
    handle = await stage.client.start_workflow(
        GuardianWorkflow.run, id=f"guardian-{stage.queue}", task_queue=stage.queue
    )
    yield handle
    await handle.terminate()


async def soaking(stage) -> None:
    stage.analysis.shown = lambda order: Seen()
    await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)


async def test_a_terminated_rollout_is_brought_home(stage, guardian):
    await soaking(stage)
    stage.live = [registered(stage, Phase.PROGRESSING)]
    await stage.handle.terminate("an operator who knew no better")

    await stage.until(lambda: "rolled_back" in stage.journal.phases)

    assert stage.router.weights(stage.plan.route) == (100,)
    assert list(stage.runtime.deployed) == [("serving", stage.plan.stable.workload.name)]
    stage.live = []


async def test_a_rollout_that_had_promoted_is_brought_onward(stage, guardian):
    await soaking(stage)
    stage.live = [registered(stage, Phase.PROMOTING)]
    await stage.handle.terminate()

    await stage.until(lambda: "promoted" in stage.journal.phases)

    assert stage.router.weights(stage.plan.route)[stage.plan.candidate.slot] == 100
    stage.live = []


async def test_a_rollout_that_is_being_walked_is_left_alone(stage, guardian):
    await soaking(stage)
    writes = len(stage.weights)
    stage.live = [registered(stage, Phase.PROGRESSING)]

    await asyncio.sleep(0.5)  # several rounds

    assert len(stage.weights) == writes
    stage.live = []


async def test_a_request_whose_run_never_started_is_closed(stage, guardian):
    await soaking(stage)
    await stage.handle.terminate()
    old = datetime(2020, 1, 1, tzinfo=UTC)
    stage.live = [replace(registered(stage, Phase.PENDING), created_at=old)]

    await stage.until(lambda: "rolled_back" in stage.journal.phases)
    stage.live = []
