"""A/B/n tests, walked with time skipped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from domain.errors import Unreachable
from domain.fleet import Span
from domain.progress import ActState, Seen
from domain.rollout import Command, EventKind, Phase, Scope
from domain.steps import Reaction
from domain.strategies.ab_test import OnWinner
from domain.traffic import NO_EXTRAS
from domain.trial_verdicts import Outcome
from domain.verdicts import Status
from domain.workloads import WorkloadPhase, WorkloadStatus
from tests.fleets import a_window
from tests.plans import PROJECT, ab_test, policies, trial, verdict
from tests.workflows.stage import ANA, acted
from workflows.messages import Mode
from workflows.rollout import RolloutWorkflow

PASSES = {name: verdict(Status.PASS, variant=name) for name in ("b", "c")}
FAILS = {name: verdict(Status.FAIL, variant=name, reason="Errors!") for name in ("b", "c")}
WON = trial(Outcome.WINNER, "c", b="c", stable="c")
OPEN = Seen(trial=trial(), verdicts=tuple(PASSES.values()))


def seen(standing=None, **verdicts):
    """What a watch finds of the arms that are still there."""

    def look(order):
        present = order.progress.arms_in(order.plan)
        found = tuple({**PASSES, **verdicts}[name] for name in present)
        return Seen(trial=standing or trial(), verdicts=found)

    return look


def deployed(stage):
    return {name for _, name in stage.runtime.deployed}


async def divided(stage, weights):
    await stage.until(lambda: stage.weights[-1:] == [weights], f"weights of {weights}")


async def test_the_winner_gets_all_traffic_and_the_others_are_removed(stage):
    stage.analysis.shown = seen(WON)
    handle = await stage.start(ab_test())

    result = await handle.result()

    assert result.phase is Phase.PROMOTED
    assert stage.weights == [(100, 0, 0), (34, 33, 33), (67, 0, 33), (0, 0, 100), (0, 0, 100)]
    assert deployed(stage) == {"chat-v3"}
    (promoted,) = [entry.promoted for entry in stage.journal.entries if entry.promoted]
    assert promoted.name == "c"
    left = {entry.left.name for entry in stage.journal.entries if entry.left}
    assert left == {"stable", "b"}
    joined = [entry.joined.name for entry in stage.journal.entries if entry.joined]
    assert joined == ["b", "c"]


async def test_an_arm_that_fails_its_gate_leaves_and_the_rest_goes_on(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test())
    await stage.until(lambda: EventKind.DIVIDED in stage.journal.kinds)
    await stage.until(lambda: stage.analysis.watching.progress.division == 1)

    assert stage.weights[-1] == (67, 0, 33)
    assert stage.analysis.watching.progress.arms_in(stage.plan) == ("c",)
    stage.analysis.shown = seen(trial(Outcome.UNOPPOSED, b="stable"))
    assert (await handle.result()).phase is Phase.CONCLUDED
    assert deployed(stage) == {"chat-v1"}


async def test_when_all_arms_fail_everything_goes_back(stage):
    stage.analysis.shown = seen(**FAILS)
    handle = await stage.start(ab_test())

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert stage.weights[2] == (100, 0, 0)
    assert deployed(stage) == {"chat-v1"}


@pytest.mark.parametrize(
    "standing",
    [trial(Outcome.EQUIVALENT), trial(Outcome.WINNER, "stable", b="stable", c="stable")],
)
async def test_without_a_better_arm_stable_keeps_the_traffic(stage, standing):
    stage.analysis.shown = seen(standing)
    handle = await stage.start(ab_test())

    result = await handle.result()

    assert result.phase is Phase.CONCLUDED
    assert standing.reason in result.reason
    assert stage.weights[-1] == (100,)
    assert deployed(stage) == {"chat-v1"}


async def test_when_time_is_up_it_concludes(stage):
    stage.analysis.shown = seen()
    handle = await stage.start(ab_test(at_most=timedelta(milliseconds=300)))
    assert (await handle.result()).phase is Phase.CONCLUDED


async def test_when_time_is_up_it_may_pause_for_a_person_who_promotes_one(stage):
    stage.analysis.shown = seen()
    short = timedelta(milliseconds=300)
    handle = await stage.start(ab_test(at_most=short, on_undecided=Reaction.PAUSE))
    await stage.until(lambda: "paused" in stage.journal.phases)

    named = replace(ANA, scope=Scope.FULL, variant="b")
    await handle.execute_update(RolloutWorkflow.promote, named)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v2"}


async def test_one_that_keeps_stable_tells_the_winner_and_removes_it(stage):
    stage.analysis.shown = seen(WON)
    handle = await stage.start(ab_test(on_winner=OnWinner.KEEP))

    result = await handle.result()

    assert result.phase is Phase.CONCLUDED
    assert WON.reason in result.reason
    assert deployed(stage) == {"chat-v1"}


async def asks(stage):
    stage.analysis.shown = seen(WON)
    handle = await stage.start(ab_test(on_winner=OnWinner.ASK))
    await stage.until(
        lambda: stage.analysis.watching and stage.analysis.watching.progress.step == 3
    )
    return handle


async def test_one_that_asks_promotes_the_winner_when_a_person_says_so(stage):
    handle = await asks(stage)
    assert stage.weights[-1] == (67, 0, 33)

    await handle.execute_update(RolloutWorkflow.promote, replace(ANA, scope=Scope.STEP))

    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v3"}


async def test_one_that_asks_goes_home_when_a_person_says_so(stage):
    handle = await asks(stage)
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert deployed(stage) == {"chat-v1"}


async def test_the_winner_that_fails_while_it_is_asked_about_is_rolled_back(stage):
    handle = await asks(stage)
    stage.analysis.shown = seen(WON, c=FAILS["c"])
    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_promotion_must_name_its_arm(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test("b", "c", "d"))
    stage.analysis.shown = lambda order: Seen(trial=trial())
    await stage.until(lambda: stage.analysis.watching is not None)

    for command, rule in (
        (ANA, "name the variant"),
        (replace(ANA, variant="x"), "'x' cannot be promoted"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as error:
            await handle.execute_update(RolloutWorkflow.promote, command)
        assert isinstance(error.value.cause, ApplicationError)
        assert rule in error.value.cause.message
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(RolloutWorkflow.skip, ANA)
    await handle.execute_update(RolloutWorkflow.promote, replace(ANA, variant="d"))
    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v4"}


async def test_a_test_that_keeps_stable_may_be_ended_early(stage):
    stage.analysis.shown = seen()
    handle = await stage.start(ab_test(on_winner=OnWinner.KEEP))
    await stage.until(lambda: stage.analysis.watching is not None)
    await handle.execute_update(RolloutWorkflow.skip, ANA)
    assert (await handle.result()).phase is Phase.CONCLUDED


async def test_weights_follow_what_is_due_and_the_clock_of_the_test_goes_on(stage):
    due = {"stable": 24, "b": 33, "c": 43}
    stage.analysis.shown = lambda order: replace(OPEN, due=due)
    handle = await stage.start(ab_test(at_most=timedelta(seconds=1)))
    await stage.until(lambda: (24, 33, 43) in stage.weights)

    assert (await handle.result()).phase is Phase.CONCLUDED
    assert stage.journal.kinds.count(EventKind.DIVIDED) == 1
    soaking = [order for order in stage.traffic.shares_orders if order.before[0].weight == 34]
    assert [slot.weight for slot in soaking[0].slots] == [24, 33, 43]


async def test_who_cannot_serve_gets_no_more_and_the_test_goes_on(stage):
    plan = ab_test()
    due = {"stable": 24, "b": 33, "c": 43}
    looks = []

    def shown(order):
        looks.append(order)
        if len(looks) == 1:
            stage.runtime.lose(plan.others[0].workload)
            return replace(OPEN, due=due)
        return replace(OPEN, unfit={"c": "chat-v3 is missing"})

    stage.analysis.shown = shown
    handle = await stage.start(plan)
    await divided(stage, (67, 33, 0))
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert (24, 33, 43) not in stage.weights


async def test_pause_and_resume_leave_the_division_as_it_is(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test())
    await divided(stage, (67, 0, 33))
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    stage.analysis.shown = seen(trial(Outcome.EQUIVALENT))
    assert (await handle.result()).phase is Phase.CONCLUDED
    assert stage.weights[-2:] == [(100, 0, 0), (100,)]


async def test_drift_pauses_and_a_resume_puts_the_division_back(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test())
    await divided(stage, (67, 0, 33))
    stage.analysis.shown = lambda order: replace(OPEN, drift="somebody moved it")
    await stage.until(lambda: "paused" in stage.journal.phases)
    stage.router.tamper(stage.plan.route, stage.plan.slots_at(60), "kubectl-edit")
    stage.analysis.shown = seen()
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    await divided(stage, (67, 0, 33))
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_winner_is_not_promoted_on_what_was_seen_before_the_others_left(stage):
    away = Seen(trial=WON, unavailable_since=datetime.now(UTC))
    stage.analysis.shown = lambda order: away
    handle = await stage.start(ab_test(gates=()))
    await divided(stage, (67, 0, 33))
    await stage.until(lambda: stage.analysis.watching.progress.division == 1)
    assert stage.weights[-1] == (67, 0, 33)
    stage.analysis.shown = lambda order: Seen(trial=WON)
    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v3"}


async def test_a_promotion_comes_to_nothing_when_whom_it_means_leaves_in_a_freeze(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(replace(ab_test(), asks_the_fleet=True))
    await divided(stage, (67, 0, 33))
    now = datetime.now(UTC)
    hours = Span(starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1))
    await stage.fleet.create_window(window := a_window(PROJECT, times=hours))
    await handle.execute_update(RolloutWorkflow.promote, ANA)
    stage.analysis.shown = seen(trial(Outcome.WINNER, "stable", c="stable", left=("b",)))
    await divided(stage, (100, 0, 0))
    await stage.fleet.delete_window(PROJECT, window.id)

    assert (await handle.result()).phase is Phase.CONCLUDED
    assert deployed(stage) == {"chat-v1"}
    assert "promote by ana came to nothing: who was meant has left the trial" in {
        entry.message for entry in stage.journal.entries
    }


async def test_a_resume_writes_a_division_again_that_the_gateway_did_not_obey(stage):
    def settles(order):
        is_first = sum(order.slots[2].weight == 33 for order in stage.traffic.shares_orders) == 2
        return acted(ActState.DISOBEYED if is_first else ActState.DONE, "seen")

    stage.settles, stage.analysis.shown = settles, seen(b=FAILS["b"])
    patient = policies(on_not_settled=Reaction.PAUSE)
    handle = await stage.start(ab_test(policies=patient))
    await stage.until(lambda: "paused" in stage.journal.phases)
    stage.analysis.shown = seen(trial(Outcome.EQUIVALENT))
    await handle.execute_update(RolloutWorkflow.resume, ANA)
    assert (await handle.result()).phase is Phase.CONCLUDED


async def test_a_first_division_that_the_gateway_does_not_obey_is_taken_back(stage):
    def settles(order):
        is_split = order.slots[1].weight > 0
        return acted(ActState.DISOBEYED if is_split else ActState.DONE, "seen")

    stage.settles = settles
    handle = await stage.start(ab_test())
    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_an_arm_that_never_gets_ready_ends_the_test_before_it_begins(stage):
    plan = ab_test(policies=policies(deploy_deadline=timedelta(seconds=1)))
    failed = WorkloadStatus(phase=WorkloadPhase.FAILED, reason="no such image")
    stage.runtime.script(plan.others[0].workload.name, failed)
    handle = await stage.start(plan)
    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert deployed(stage) == {"chat-v1"}


async def test_a_worker_that_is_killed_changes_nothing(stage):
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test())
    await divided(stage, (67, 0, 33))
    await stage.restart_workers()
    stage.analysis.shown = seen(WON)
    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v3"}


async def test_a_registry_that_is_away_holds_up_no_arm_that_must_leave(stage):
    stage.journal.trouble = Unreachable("no database")
    stage.analysis.shown = seen(b=FAILS["b"])
    handle = await stage.start(ab_test())
    await divided(stage, (67, 0, 33))
    stage.journal.trouble = None
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_guardian_goes_on_with_the_arm_that_was_promoted(stage):
    plan = ab_test()
    for one in (plan.stable, *plan.challengers):
        stage.runtime.deployed[one.workload.namespace, one.workload.name] = one.workload
        await stage.router.connect(plan.route, one.workload)
    handle = await stage.start(plan, mode=Mode.RECOVER, promoted=True, chosen="c")
    assert (await handle.result()).phase is Phase.PROMOTED
    assert deployed(stage) == {"chat-v3"}


async def test_a_guardian_brings_home_from_all_arms(stage):
    plan = ab_test()
    for one in (plan.stable, *plan.challengers):
        stage.runtime.deployed[one.workload.namespace, one.workload.name] = one.workload
        await stage.router.connect(plan.route, one.workload)
    handle = await stage.start(plan, mode=Mode.RECOVER)
    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert deployed(stage) == {"chat-v1"}


async def test_users_who_stick_are_routed_by_header_until_the_end(stage):
    stage.analysis.shown = seen(WON)
    handle = await stage.start(ab_test(sticky_header="x-user-hash"))
    assert (await handle.result()).phase is Phase.PROMOTED
    routed = [len(write.extras.header_routes) for write in stage.router.writes[1:]]
    assert routed == [0, 3, 3, 0, 0]
    assert stage.router.writes[-1].extras == NO_EXTRAS


async def test_a_command_without_a_name_is_for_the_only_arm(stage):
    stage.analysis.shown = lambda order: Seen(trial=trial())
    handle = await stage.start(ab_test("b"))
    await stage.until(lambda: stage.analysis.watching is not None)
    await handle.execute_update(RolloutWorkflow.promote, Command(actor="ana", reason=""))
    assert (await handle.result()).phase is Phase.PROMOTED
