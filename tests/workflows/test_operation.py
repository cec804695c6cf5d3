"""One-shot changes of traffic: done in full, or taken back; the registry is told what is so."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from domain.division import deleted, promoted, retired, weighed
from domain.errors import Conflict, Forbidden, Refused, Unreachable
from domain.operations import (
    ChangeKind,
    OperationPhase,
    slots_of,
)
from domain.progress import ActState
from domain.traffic import Ownership
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.fakes.runtime import Call
from tests.projects import NOW
from tests.workflows.play import WINDOW, Play
from tests.workflows.stage import BEFORE, acted
from workflows.messages import Mode
from workflows.operation import ChangeTrafficWorkflow


@pytest.fixture
async def play(stage):
    made = Play(stage)
    return await made.stands(made.config.variants)


async def test_a_variant_joins_ready_and_at_weight_0_before_it_is_given_traffic(play):
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert (ending.phase, ending.problem) == (OperationPhase.DONE, None)
    assert "observed" in ending.detail
    assert play.weights == [(100, 0), (90, 10)]
    assert play.deployed == ["v1", "v2"]
    before, after = play.stage.traffic.shares_orders
    assert [slot.weight for slot in before.slots] == [100, 0]
    assert [slot.weight for slot in after.before] == [100, 0]
    assert [slot.weight for slot in after.slots] == [90, 10]


async def test_a_variant_that_stands_by_takes_no_traffic(play):
    await play.ends(ChangeKind.ADD_VARIANT, play.with_canary(0))
    assert play.weights == [(100, 0)]
    assert play.deployed == ["v1", "v2"]


async def test_weights_change_in_one_write(play):
    await play.stands(play.with_canary())
    play.stage.router.writes.clear()
    play.stage.router.writes.append(None)  # what `weights` takes for the publication
    after = weighed(play.config.variants, {"canary": 50}, now=NOW)
    assert (await play.ends(ChangeKind.SET_WEIGHTS, after)).phase is OperationPhase.DONE
    assert play.weights == [(50, 50)]


async def test_a_promotion_moves_everything_and_keeps_the_former_stable(play):
    await play.stands(play.with_canary())
    after = promoted(play.config.variants, "canary", now=NOW, window=WINDOW)
    assert (await play.ends(ChangeKind.PROMOTE, after)).phase is OperationPhase.DONE
    assert play.stage.router.weights(play.config.route) == (0, 100)
    assert play.deployed == ["v1", "v2"]


async def test_a_deleted_variant_is_drained_before_it_leaves_the_cluster(play):
    await play.stands(play.with_canary())
    after = deleted(play.config.variants, "canary", now=NOW)
    assert (await play.ends(ChangeKind.DELETE_VARIANT, after)).phase is OperationPhase.DONE
    assert play.weights[-2:] == [(100, 0), (100,)]
    assert play.deployed == ["v1"]
    assert len(play.stage.router.connected) == 1


async def test_a_variant_without_weight_leaves_as_well(play):
    await play.stands(play.with_canary(0))
    after = deleted(play.config.variants, "canary", now=NOW)
    await play.ends(ChangeKind.DELETE_VARIANT, after)
    assert play.weights[-1] == (100,)
    assert play.deployed == ["v1"]


async def test_a_retired_variant_leaves_and_the_others_keep_their_positions(play):
    await play.stands(play.with_canary())
    await play.stands(promoted(play.config.variants, "canary", now=NOW, window=WINDOW))
    after = retired(play.config.variants, now=NOW + WINDOW)
    ending = await play.ends(ChangeKind.RETIRE, after)
    assert ending.phase is OperationPhase.DONE
    slots = (await play.stage.router.observe(play.config.route)).slots
    stable = play.config.workload(play.it.v2).name
    assert [(slot.workload, slot.weight) for slot in slots] == [(stable, 0), (stable, 100)]
    assert play.deployed == ["v2"]


@pytest.mark.parametrize(
    ("phase", "problem"),
    [(WorkloadPhase.FAILED, "no such model"), (WorkloadPhase.MISSING, "gone")],
)
async def test_a_version_that_never_loads_is_taken_away_again(play, phase, problem):
    canary = play.config.workload(play.it.v2).name
    play.stage.runtime.script(canary, WorkloadStatus(phase=WorkloadPhase.FAILED, reason=problem))
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "WorkloadFailed")
    assert problem in ending.detail
    assert play.weights == []
    assert play.deployed == ["v1"]


@pytest.mark.parametrize(
    "error", [Refused("spec: no"), Forbidden("no"), Conflict("held by argocd")]
)
async def test_what_the_cluster_refuses_is_undone_without_a_write(play, error):
    play.stage.router.fail("write", error)
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, type(error).__name__)
    assert str(error) in ending.detail
    assert play.weights == []
    assert play.deployed == ["v1"]


async def test_a_cluster_that_does_not_answer_is_given_up_and_the_way_back_is_not(play):
    play.stage.router.outage("write", Unreachable("nobody there"))
    handle = await play.start(ChangeKind.SET_WEIGHTS, play.with_canary())

    async def problem():
        return (await handle.query(ChangeTrafficWorkflow.describe)).problem

    for _ in range(600):
        if await problem():
            break
        await asyncio.sleep(0.05)
    assert await problem() == "Unreachable"
    assert play.stage.journal.endings == {}
    play.stage.router.outage("write", None)
    ending = await handle.result()
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Unreachable")
    assert play.stage.router.weights(play.config.route) == (100,)
    assert play.deployed == ["v1"]


async def test_traffic_that_does_not_obey_is_taken_back_with_what_was_seen(play):
    disobeyed = acted(ActState.DISOBEYED, "of 500 requests 0.2 % went to canary, 10 % by weight")
    play.stage.settles = lambda order: (
        disobeyed if [s.weight for s in order.slots] == [90, 10] else acted(ActState.DONE, "seen")
    )
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "NotSettled")
    assert "0.2 %" in ending.detail
    assert play.weights == [(100, 0), (90, 10), (100, 0), (100,)]
    assert play.deployed == ["v1"]


async def test_a_cancelled_operation_goes_back_before_it_closes(play):
    play.stage.settles = lambda order: (
        None if [s.weight for s in order.slots] == [90, 10] else acted(ActState.DONE, "seen")
    )
    handle = await play.start(ChangeKind.ADD_VARIANT, play.with_canary())
    await play.stage.until(lambda: (90, 10) in play.weights)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert play.weights[-2:] == [(100, 0), (100,)]
    assert play.stage.journal.endings[play.operation_id].problem == "Cancelled"
    assert play.deployed == ["v1"]


async def test_a_way_back_by_a_newer_owner_is_left_to_it(play):
    newer = Ownership(holder="other", ordered_at=NOW.replace(year=2100), run_id="x", sequence=1)
    play.stage.settles = lambda order: acted(ActState.DISOBEYED, "no")
    write = play.stage.router.write

    async def overtaken(route, slots, owner, *, extras, insist):
        await write(route, slots, owner, extras=extras, insist=insist)
        if not insist:
            await write(route, slots, newer)

    play.stage.router.write = overtaken
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert ending.phase is OperationPhase.UNDONE
    assert "newer owner" in ending.detail


async def test_a_bearer_that_is_gone_is_brought_up_again_on_the_way_back(play):
    stable = play.workload(play.config.variants[0])
    states = iter([acted(ActState.DONE, "seen"), acted(ActState.DISOBEYED, "no")])

    def settles(order):
        found = next(states, acted(ActState.DONE, "seen"))
        if found.state is ActState.DISOBEYED:
            play.stage.runtime.lose(stable)
        return found

    play.stage.settles = settles
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary())
    assert ending.phase is OperationPhase.UNDONE
    assert Call(method="deploy", workload=stable.name) in play.stage.runtime.calls
    assert play.deployed == ["v1"]


async def test_a_deleted_config_leaves_only_the_service_s_own_workload(play):
    await play.stands(play.with_canary())
    own = play.config.variants[0].workload
    ending = await play.ends(ChangeKind.DELETE_CONFIG, (), stays=own)
    assert (ending.phase, ending.detail) == (OperationPhase.DONE, "")
    assert await play.stage.router.observe(play.config.route) is None
    assert play.deployed == ["v1"]
    assert play.stage.router.connected == {}


async def test_what_cannot_be_removed_is_named_and_holds_up_nothing(play):
    await play.stands(play.with_canary())
    play.stage.router.outage("disconnect", Refused("a webhook says no"))
    ending = await play.ends(
        ChangeKind.DELETE_VARIANT, deleted(play.config.variants, "canary", now=NOW)
    )
    assert ending.phase is OperationPhase.DONE
    assert "could not be removed: a webhook says no" in ending.detail


async def test_an_operation_that_was_cut_off_is_taken_back(play):
    """The route stands as the cut-off run has left it, whatever that is."""
    variants = play.with_canary()
    canary = play.workload(next(v for v in variants if v.name == "canary"))
    play.stage.runtime.deployed[canary.namespace, canary.name] = canary
    await play.stage.router.connect(play.config.route, canary)
    owner = Ownership(holder="cut off", ordered_at=BEFORE, run_id="publish", sequence=2)
    await play.stage.router.write(play.config.route, slots_of(variants), owner)
    ending = await play.ends(ChangeKind.ADD_VARIANT, variants, mode=Mode.RECOVER)
    assert ending.phase is OperationPhase.UNDONE
    assert play.weights[-2:] == [(100, 0), (100,)]
    assert play.deployed == ["v1"]


async def test_a_recovery_adds_nobody_to_a_route_that_does_not_know_it(play):
    ending = await play.ends(ChangeKind.ADD_VARIANT, play.with_canary(), mode=Mode.RECOVER)
    assert ending.phase is OperationPhase.UNDONE
    assert {len(weights) for weights in play.weights} <= {1}


async def test_what_was_cut_off_while_tidying_is_carried_to_its_end(play):
    await play.stands(play.with_canary())
    after = deleted(play.config.variants, "canary", now=NOW)
    ending = await play.ends(
        ChangeKind.DELETE_VARIANT, after, mode=Mode.RECOVER, phase=OperationPhase.TIDYING
    )
    assert ending.phase is OperationPhase.DONE
    assert play.weights[-1] == (100,)
    assert play.deployed == ["v1"]


async def test_the_registry_may_be_away_and_hears_of_it_later(play):
    play.stage.journal.trouble = Unreachable("down")
    handle = await play.start(ChangeKind.ADD_VARIANT, play.with_canary())
    await play.stage.until(lambda: (90, 10) in play.weights)
    await asyncio.sleep(0.5)
    assert play.stage.journal.endings == {}
    play.stage.journal.trouble = None
    assert (await handle.result()).phase is OperationPhase.DONE
