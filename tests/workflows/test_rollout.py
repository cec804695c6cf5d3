"""The life of a rollout, walked on a real Temporal server with time skipped."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError

from domain.errors import Conflict, Forbidden, Unreachable
from domain.progress import ActState, Seen
from domain.rollout import EventKind, Phase, Scope
from domain.traffic import Ownership
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.plans import canary_spec, plan, policies
from tests.workflows.stage import ANA, FAILED, PASSED, acted, done
from workflows.messages import Mode, Reply
from workflows.rollout import RolloutWorkflow

FAR = datetime(2100, 1, 1, tzinfo=UTC)


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


async def test_an_abort_during_a_soak_answers_with_traffic_home(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10, 50)))
    await stage.soaking_at(10)

    reply = await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert reply.message == "all traffic is sent to stable"
    assert stage.router.weights(stage.plan.route)[0] == 100
    assert (await handle.result()).reason == "aborted by ana: a test"
    assert stage.weights == [(100, 0), (90, 10), (100, 0), (100,)]


async def test_an_abort_while_deploying_leaves_nothing_behind(stage):
    loading = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="pulling the model")
    walked = plan(canary_spec(10))
    stage.runtime.script(walked.candidate.workload.name, loading)
    handle = await stage.start(walked)
    await stage.until(lambda: len(stage.runtime.deployed) == 2)

    await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert list(stage.runtime.deployed) == [("serving", walked.stable.workload.name)]
    assert all(len(slots) == 1 for slots in stage.weights), "a way home adds no reference"


@pytest.mark.parametrize("lag", [0.0, 0.006])
async def test_an_abort_that_comes_with_the_end_of_an_activity_is_heeded(stage, lag):
    """The end of the activity leaves nothing to cancel, and a lost cancel would wait for ever."""
    loading = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="pulling the model")
    walked = plan(canary_spec(10))
    stage.runtime.script(walked.candidate.workload.name, loading)
    deploy = stage.runtime.deploy

    async def deploy_while_somebody_aborts(workload):
        await deploy(workload)
        if workload == walked.candidate.workload:
            aborts.append(asyncio.create_task(handle.execute_update(RolloutWorkflow.abort, ANA)))
            await asyncio.sleep(lag)

    aborts: list[asyncio.Task[Reply]] = []
    stage.runtime.deploy = deploy_while_somebody_aborts
    handle = await stage.start(walked)

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    await asyncio.gather(*aborts)


async def test_a_version_that_never_loads_is_rolled_back_with_its_reason(stage):
    broken = WorkloadStatus(phase=WorkloadPhase.FAILED, reason="no such model")
    walked = plan(canary_spec(10))
    stage.runtime.script(walked.candidate.workload.name, broken)
    handle = await stage.start(walked)

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert "no such model" in result.reason
    assert list(stage.runtime.deployed) == [("serving", walked.stable.workload.name)]


async def test_a_version_that_loads_for_ever_ends_with_its_deadline(stage):
    loading = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="pulling the model")
    walked = plan(canary_spec(10, policies=policies(deploy_deadline=timedelta(seconds=1))))
    stage.runtime.script(walked.candidate.workload.name, loading)
    handle = await stage.start(walked)

    assert "not ready in time: pulling the model" in (await handle.result()).reason


async def test_traffic_that_does_not_obey_is_sent_home(stage):
    stage.settles = lambda order: (
        acted(ActState.DISOBEYED, "0 % observed, 10 % written") if order.weight == 10 else done()
    )
    handle = await stage.start(plan(canary_spec(10)))

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert result.reason == "0 % observed, 10 % written"


async def test_a_route_without_requests_waits_for_them(stage):
    looks = []

    def settles(order):
        looks.append(order.weight)
        return (
            acted(ActState.SILENT, "no request")
            if looks.count(10) == 1 == len(looks) - 1
            else done()
        )

    stage.settles = settles
    handle = await stage.start(plan(canary_spec(10)))

    assert (await handle.result()).phase is Phase.PROMOTED
    assert looks == [0, 10, 10, 100]


async def test_a_paused_rollout_holds_though_proven_until_it_is_resumed(stage):
    stage.analysis.shown = lambda order: PASSED if stage.proven else Seen()
    stage.proven = False
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    stage.proven = True
    view = await handle.query(RolloutWorkflow.describe)

    assert view.phase is Phase.PAUSED
    assert stage.weights[-1] == (90, 10)

    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_a_paused_rollout_still_rolls_back_when_a_gate_fails(stage):
    stage.analysis.shown = lambda order: FAILED if stage.bad else Seen()
    stage.bad = False
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    stage.bad = True

    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_rollout_paused_while_shifting_is_watched_and_rolls_back_when_a_gate_fails(stage):
    stage.obeys = False
    stage.settles = lambda order: done() if stage.obeys or order.weight != 10 else None
    stage.analysis.shown = lambda order: FAILED
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: (90, 10) in stage.weights)
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    stage.obeys = True

    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_rollout_paused_in_silence_still_learns_that_requests_have_come(stage):
    stage.silent = True
    stage.settles = lambda order: (
        acted(ActState.SILENT, "no request") if stage.silent and order.weight == 10 else done()
    )
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: EventKind.WEIGHTS_SET in stage.journal.kinds)
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    stage.silent = False

    await stage.soaking_at(10)
    assert (await handle.query(RolloutWorkflow.describe)).phase is Phase.PAUSED
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    await handle.result()


async def test_promoting_in_full_skips_the_rest_but_not_the_settling(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10, 50)))
    await stage.soaking_at(10)

    await handle.execute_update(RolloutWorkflow.promote, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.weights == [(100, 0), (90, 10), (0, 100), (0, 100)]
    assert [order.weight for order in stage.traffic.settle_orders] == [0, 10, 100]


async def test_promoting_by_one_step_goes_to_the_next_weight(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10, 50)))
    await stage.soaking_at(10)

    await handle.execute_update(RolloutWorkflow.promote, replace(ANA, scope=Scope.STEP))
    await stage.soaking_at(50)

    assert stage.weights[-1] == (50, 50)
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    await handle.result()


@pytest.mark.parametrize("name", ["abort", "promote", "pause", "resume"])
async def test_commands_after_the_end_of_the_way_forward_are_refused(stage, name):
    handle = await stage.start(
        plan(canary_spec(10, policies=policies(scale_down_delay=timedelta(days=7))))
    )
    await stage.until(lambda: EventKind.PROMOTED in stage.journal.kinds)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(name, ANA, result_type=Reply)

    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == "Conflict"
    assert "promoted already" in str(refused.value.cause)
    await handle.result()


async def test_signals_do_what_updates_do_even_without_a_payload(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)

    await handle.signal("pause")
    await stage.until(lambda: "paused" in stage.journal.phases)
    await handle.signal("resume", ANA)
    await stage.until(lambda: EventKind.RESUMED in stage.journal.kinds)
    await handle.signal("abort", {"actor": "temporal CLI", "reason": "a hunch"})

    assert (await handle.result()).reason == "aborted by temporal CLI: a hunch"


async def test_a_signal_with_a_payload_that_makes_no_sense_changes_nothing(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)

    await handle.signal("abort", ["what", {"is": "this"}])
    await handle.signal("abort", 7)

    assert (await handle.query(RolloutWorkflow.describe)).phase is Phase.PROGRESSING
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    await handle.result()


async def test_the_deadline_sends_traffic_home(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(
        plan(canary_spec(10, policies=policies(deadline=timedelta(seconds=2))))
    )

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert "did not end within" in result.reason


async def test_a_cancelled_rollout_goes_home_before_it_closes(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError) as closed:
        await handle.result()
    assert isinstance(closed.value.cause, CancelledError)
    assert stage.weights == [(100, 0), (90, 10), (100, 0), (100,)]
    assert list(stage.runtime.deployed) == [("serving", stage.plan.stable.workload.name)]


async def test_a_cancel_during_the_rollback_does_not_cut_it_short(stage):
    stage.analysis.shown = lambda order: FAILED
    stage.settles = lambda order: (
        None if stage.slow and order.weight == 0 and order.previous else done()
    )
    stage.slow = True
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: stage.weights[-1:] == [(100, 0)] and len(stage.weights) > 2)

    await handle.cancel()
    await asyncio.sleep(0.3)
    stage.slow = False

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert stage.weights == [(100, 0), (90, 10), (100, 0), (100,)]
    assert stage.journal.phases[-1] == "rolled_back"


async def test_a_cancel_on_the_way_home_from_an_error_still_records_the_end(stage):
    stage.analysis.shown = lambda order: stage.forbid() or PASSED
    stage.forbid = lambda: stage.router.fail("write", Forbidden("the policy says no"))
    stage.settles = lambda order: None if stage.slow and not order.weight else done()
    stage.slow = False
    handle = await stage.start(plan(canary_spec(10)))
    stage.slow = await stage.until(lambda: (90, 10) in stage.weights) is None
    await stage.until(lambda: stage.weights[-1:] == [(100, 0)] and len(stage.weights) > 2)

    await handle.cancel()
    await asyncio.sleep(0.3)
    stage.slow = False

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert stage.journal.phases[-1] == "rolled_back"


async def test_a_cancelled_promotion_keeps_stable_until_the_registry_knows_of_it(stage):
    stage.analysis.shown = lambda order: stage.away() or PASSED
    stage.away = lambda: setattr(stage.journal, "trouble", Unreachable("no database"))
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: (0, 100) in stage.weights)
    await asyncio.sleep(0.2)

    await handle.cancel()
    await asyncio.sleep(0.5)
    assert ("serving", stage.plan.stable.workload.name) in stage.runtime.deployed
    stage.journal.trouble = None

    with contextlib.suppress(WorkflowFailureError):
        await handle.result()
    assert stage.journal.phases[-1] == "promoted"
    assert list(stage.runtime.deployed) == [("serving", stage.plan.candidate.workload.name)]


async def test_a_deadline_that_passes_while_promoting_keeps_stable_until_the_registry_knows(stage):
    stage.analysis.shown = lambda order: stage.away() or PASSED
    stage.away = lambda: setattr(stage.journal, "trouble", Unreachable("no database"))
    short = policies(deadline=timedelta(minutes=10), scale_down_delay=timedelta(0))
    handle = await stage.start(plan(canary_spec(10, policies=short)))
    await stage.until(lambda: (0, 100) in stage.weights)
    await is_late(handle)

    await asyncio.sleep(0.5)
    assert ("serving", stage.plan.stable.workload.name) in stage.runtime.deployed
    stage.journal.trouble = None

    assert (await handle.result()).phase is Phase.PROMOTED
    assert list(stage.runtime.deployed) == [("serving", stage.plan.candidate.workload.name)]


async def is_late(handle):
    """Wait until the timer of its deadline has gone off."""
    for _ in range(200):
        events = (await handle.fetch_history()).events
        if any(event.HasField("timer_fired_event_attributes") for event in events):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("its deadline never came")


async def test_a_cancel_after_the_promotion_goes_onward(stage):
    handle = await stage.start(
        plan(canary_spec(10, policies=policies(scale_down_delay=timedelta(days=7))))
    )
    await stage.until(lambda: EventKind.PROMOTED in stage.journal.kinds)

    with contextlib.suppress(RPCError):  # it may be over already: a week passes in no time
        await handle.cancel()

    with contextlib.suppress(WorkflowFailureError):
        await handle.result()
    assert stage.router.weights(stage.plan.route)[1] == 100
    assert list(stage.runtime.deployed) == [("serving", stage.plan.candidate.workload.name)]


async def test_a_gateway_that_is_away_delays_the_way_home_and_does_not_prevent_it(stage):
    stage.analysis.shown = lambda order: stage.away() or FAILED
    stage.away = lambda: stage.router.outage("write", Unreachable("the API answers 500"))
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: EventKind.ROLLBACK_STARTED in stage.journal.kinds)
    await asyncio.sleep(1)
    assert stage.router.weights(stage.plan.route) == (90, 10)

    stage.router.outage("write", None)

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert stage.router.weights(stage.plan.route) == (100,)


async def test_a_way_home_that_the_cluster_forbids_is_insisted_on(stage):
    stage.analysis.shown = lambda order: stage.away() or FAILED
    stage.away = lambda: stage.router.outage("write", Forbidden("the policy says no"))
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: EventKind.ROLLBACK_STARTED in stage.journal.kinds)
    await asyncio.sleep(0.5)
    view = await handle.query(RolloutWorkflow.describe)
    assert view.rollback_since is not None
    stage.router.outage("write", None)

    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_registry_that_is_away_holds_up_no_rollback(stage):
    stage.analysis.shown = lambda order: stage.away() or FAILED
    stage.away = lambda: setattr(stage.journal, "trouble", Unreachable("no database"))
    handle = await stage.start(plan(canary_spec(10)))

    await stage.until(lambda: stage.weights[-1:] == [(100,)], "the way home")
    stage.journal.trouble = None

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert stage.journal.phases[-1] == "rolled_back"


async def test_what_cannot_be_removed_is_named_and_holds_up_nothing(stage):
    stage.analysis.shown = lambda order: FAILED
    stage.runtime.outage("remove", Conflict("somebody else's object"))
    handle = await stage.start(plan(canary_spec(10)))

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert any("somebody else's object" in entry.message for entry in stage.journal.entries)


async def test_a_way_back_that_was_not_seen_is_not_told_as_settled(stage):
    stage.analysis.shown = lambda order: FAILED
    stage.settles = lambda order: (
        acted(ActState.DISOBEYED, "7 % observed")
        if (order.weight, order.previous) == (0, 10)
        else done()
    )
    handle = await stage.start(plan(canary_spec(10)))

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    told = stage.journal.entries[[e.kind for e in stage.journal.entries].index(EventKind.FAILED)]
    assert told.message == "the way back was not seen: 7 % observed"


async def test_drift_pauses_and_a_resume_puts_the_weights_back(stage):
    drifted = Seen(drift="backendRefs[1] is 60 %, was written as 10 %; changed by kubectl-edit")
    stage.analysis.shown = lambda order: drifted if stage.drifting else PASSED
    stage.drifting = True
    handle = await stage.start(plan(canary_spec(10)))
    await stage.until(lambda: "paused" in stage.journal.phases)
    stage.router.tamper(stage.plan.route, stage.plan.slots_at(60), "kubectl-edit")
    stage.drifting = False
    writes = len(stage.weights)

    await handle.execute_update(RolloutWorkflow.resume, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.router.writes[writes + 1].insist
    assert stage.weights[writes] == (90, 10)


async def test_the_weights_of_an_earlier_run_are_put_back_without_a_person(stage):
    displaced = Seen(displaced="backendRefs[0] is 50 %, was written as 90 %; by an earlier run")

    def shown(order):
        if stage.analysis.watches > 1:
            return PASSED
        stage.router.tamper(order.plan.route, order.plan.slots_at(50), "")
        return displaced

    stage.analysis.shown = shown
    handle = await stage.start(plan(canary_spec(10)))

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.weights[:4] == [(100, 0), (90, 10), (90, 10), (0, 100)]
    assert EventKind.DRIFTED in stage.journal.kinds
    assert "paused" not in stage.journal.phases


async def test_a_newer_owner_of_the_route_is_left_alone(stage):
    stage.analysis.shown = lambda order: stage.usurp(order) or Seen()

    def usurp(order):
        later = Ownership(holder="guardian", ordered_at=FAR, run_id="later", sequence=1)
        stage.router._routes[order.plan.route.namespace, order.plan.route.name].owner = later

    stage.usurp = usurp
    handle = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)
    await asyncio.sleep(0.1)

    await handle.execute_update(RolloutWorkflow.abort, ANA)

    result = await handle.result()
    assert result.phase is Phase.FAILED
    assert stage.weights == [(100, 0), (90, 10)]


@pytest.mark.parametrize("promoted", [False, True])
async def test_the_guardian_takes_over_from_a_run_that_was_terminated(stage, promoted):
    stage.analysis.shown = lambda order: Seen()
    first = await stage.start(plan(canary_spec(10)))
    await stage.soaking_at(10)
    await first.terminate()

    handle = await stage.start(stage.plan, mode=Mode.RECOVER, promoted=promoted)
    result = await handle.result()

    staying = stage.plan.candidate if promoted else stage.plan.stable
    assert result.phase is (Phase.PROMOTED if promoted else Phase.ROLLED_BACK)
    assert stage.router.weights(stage.plan.route)[staying.slot] == 100
    assert list(stage.runtime.deployed) == [("serving", staying.workload.name)]


async def test_a_week_long_soak_stays_far_below_the_history_limit(stage):
    long = plan(
        canary_spec(
            10,
            soak=timedelta(days=7),
            policies=policies(deadline=timedelta(days=8), probe_interval=timedelta(seconds=15)),
        )
    )
    stage.analysis.shown = lambda order: Seen()
    reports = 0

    async def report(order):
        nonlocal reports
        reports += 1
        return PASSED if reports > 170 else Seen()

    stage.analysis.report = report
    handle = await stage.start(long)

    await handle.result()

    events = (await handle.describe()).history_length
    assert reports > 168, "a report an hour, a week long"
    assert events < 2000
