"""Blue/green, shadow and the further steps of a canary, walked with time skipped."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from domain.hooks import HookKind
from domain.plan import PREVIEW
from domain.progress import ActState, Seen
from domain.rollout import Command, EventKind, Phase, Scope
from domain.steps import Reaction
from domain.strategies.canary_steps import (
    Analysis,
    Approval,
    CanaryStep,
    MirrorFor,
    Scale,
    Stay,
    Weight,
)
from domain.traffic import NO_EXTRAS, Mirror
from domain.verdicts import Status
from tests.domain.test_strategies import blue_green, canary, predictive, shadow
from tests.fakes.notifier import NO, YES
from tests.notices import a_hook
from tests.plans import plan, policies, verdict
from tests.workflows.stage import ANA, FAILED, PASSED, acted, done
from workflows.rollout import RolloutWorkflow

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
# Watches take real time.
SOON = timedelta(milliseconds=50)
JUDGED = Analysis(at_most=10 * MINUTE)
OFTEN = {"ask_every": SECOND, "ask_for": HOUR}


def refusal(error):
    assert isinstance(error.value.cause, ApplicationError)
    return error.value.cause.type, error.value.cause.message


def green(*, kept=SOON, **changes):
    return plan(blue_green(policies=policies(scale_down_delay=kept), **changes))


async def told(stage, kind):
    await stage.until(lambda: kind in stage.journal.kinds, kind)


# Blue/green


async def test_green_is_previewed_judged_and_given_all_traffic_at_once(stage):
    handle = await stage.start(green(automatic=True, post_promotion=SOON))

    result = await handle.result()

    assert result.phase is Phase.PROMOTED
    assert stage.weights == [(100, 0), (100, 0), (0, 100), (0, 100)]
    (previewed,) = [write for write in stage.router.writes if write.extras != NO_EXTRAS]
    (route,) = previewed.extras.header_routes
    assert (route.name, route.workload) == (PREVIEW, stage.plan.candidate.workload.name)
    assert list(stage.runtime.deployed) == [("serving", stage.plan.candidate.workload.name)]


async def test_green_that_fails_its_preview_never_gets_traffic(stage):
    stage.analysis.shown = lambda order: FAILED
    handle = await stage.start(green(automatic=True))

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert {weights[0] for weights in stage.weights} == {100}
    assert stage.router.writes[-1].extras == NO_EXTRAS


async def test_green_waits_for_a_person_however_well_it_does(stage):
    handle = await stage.start(green())
    await stage.until(lambda: stage.analysis.watches >= 2, "the wait for a person")
    assert stage.weights == [(100, 0), (100, 0)]

    await handle.execute_update(RolloutWorkflow.promote, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_an_abort_after_the_switch_is_an_instant_way_back_to_blue(stage):
    stage.analysis.shown = lambda order: Seen() if order.progress.step > 4 else PASSED
    made = green(automatic=True, post_promotion=HOUR)
    handle = await stage.start(made)
    await stage.soaking_at(100)

    reply = await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert reply.message == "all traffic is sent to stable"
    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert list(stage.runtime.deployed) == [("serving", made.stable.workload.name)]


async def test_a_gate_that_fails_after_the_switch_sends_all_traffic_to_blue(stage):
    stage.analysis.shown = lambda order: FAILED if order.progress.step > 3 else PASSED
    handle = await stage.start(green(automatic=True, post_promotion=HOUR))

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert stage.weights[-3:] == [(0, 100), (100, 0), (100,)]


async def test_blue_is_kept_warm_until_the_scale_down_delay_is_over(stage):
    made = green(automatic=True, kept=HOUR)
    stage.analysis.shown = lambda order: Seen() if order.progress.step == 4 else PASSED
    handle = await stage.start(made)
    await stage.soaking_at(100)

    assert ("serving", made.stable.workload.name) in stage.runtime.deployed
    assert EventKind.PROMOTED not in stage.journal.kinds
    await handle.execute_update(RolloutWorkflow.promote, ANA)
    assert (await handle.result()).phase is Phase.PROMOTED
    assert ("serving", made.stable.workload.name) not in stage.runtime.deployed


# Shadow


async def test_a_shadow_gets_copies_concludes_and_leaves_nothing_behind(stage):
    made = predictive(shadow())
    handle = await stage.start(made)

    result = await handle.result()

    assert (result.phase, result.reason) == (Phase.CONCLUDED, "because")
    assert {weights[0] for weights in stage.weights} == {100}
    mirrors = [write.extras.mirrors for write in stage.router.writes if write.extras.mirrors]
    assert mirrors == [(Mirror(workload=made.candidate.workload.name, percent=20),)]
    assert stage.router.writes[-1].extras == NO_EXTRAS
    assert list(stage.runtime.deployed) == [("serving", made.stable.workload.name)]
    assert stage.journal.kinds[-1] is EventKind.CONCLUDED
    assert copies(stage) == [(0, 0), (0, 20), (20, 0)]


def copies(stage):
    """How much was copied before and after each settling: 0 where nothing is looked for."""
    return [
        (order.mirrored_before, sum(mirror.percent for mirror in order.extras.mirrors))
        for order in stage.traffic.settle_orders
    ]


async def test_a_shadow_that_fails_is_removed_once_its_copies_have_ended(stage):
    stage.analysis.shown = lambda order: FAILED
    made = predictive(shadow())
    gone = []

    def settles(order):
        if order.mirrored_before:
            gone.append(("serving", made.candidate.workload.name) not in stage.runtime.deployed)
        return done()

    stage.settles = settles
    handle = await stage.start(made)

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert stage.router.writes[-1].extras == NO_EXTRAS
    assert copies(stage) == [(0, 0), (0, 20), (20, 0)]
    assert gone == [False]


async def test_a_mirror_that_nobody_sees_is_waited_for(stage):
    seen = False
    silent = acted(ActState.SILENT, "no request has come by since the mirror was set to 20 %")
    stage.settles = lambda order: done() if seen or not order.extras.mirrors else silent
    handle = await stage.start(predictive(shadow()))
    await stage.until(lambda: len(stage.traffic.settle_orders) > 2, "another look")
    assert stage.analysis.watches == 0
    seen = True

    assert (await handle.result()).phase is Phase.CONCLUDED
    again = copies(stage)[2:-1]
    assert again == [(20, 20)] * len(again)


async def test_copies_that_do_not_come_as_written_send_a_shadow_home(stage):
    few = acted(ActState.DISOBEYED, "0 copies of 1,000 requests observed, 20 % written")
    stage.settles = lambda order: few if order.extras.mirrors else done()
    handle = await stage.start(predictive(shadow()))

    result = await handle.result()
    assert (result.phase, result.reason) == (Phase.ROLLED_BACK, few.detail)


async def test_a_shadow_is_never_promoted(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(predictive(shadow(at_most=HOUR)))
    await stage.until(lambda: stage.analysis.watching is not None)

    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(RolloutWorkflow.promote, ANA)

    assert refusal(caught)[0] == "Conflict"
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    assert (await handle.result()).phase is Phase.ROLLED_BACK


# The further steps of a canary


async def test_a_mirror_comes_before_the_first_weight_and_goes_after_its_time(stage):
    made = predictive(canary(MirrorFor(percent=50, time=SOON), CanaryStep(weight=10, soak=HOUR)))
    handle = await stage.start(made)

    assert (await handle.result()).phase is Phase.PROMOTED
    copied = [bool(write.extras.mirrors) for write in stage.router.writes]
    assert copied == [False, False, True, False, False, False, False]
    assert copies(stage) == [(0, 0), (0, 50), (50, 0), (0, 0), (0, 0)]


async def test_the_candidate_is_scaled_and_stable_is_not(stage):
    made = plan(canary(Scale(replicas=3), CanaryStep(weight=10, soak=HOUR)))
    handle = await stage.start(made)

    assert (await handle.result()).phase is Phase.PROMOTED
    assert stage.runtime.replicas == {made.candidate.workload.name: 3}


@pytest.fixture
async def approval(stage):
    """A canary that waits for an owner's approval; index 2 of the plan's steps."""
    made = plan(canary(Weight(weight=10), Approval(roles=("owner",), timeout=HOUR), JUDGED))
    stage.analysis.shown = lambda order: PASSED
    await stage.start(made)
    await stage.soaking_at(10)
    return stage.handle


OWNER = replace(ANA, roles=("owner",))


async def test_an_approval_lets_it_go_on(stage, approval):
    await approval.execute_update(RolloutWorkflow.approve, OWNER)

    assert (await approval.result()).phase is Phase.PROMOTED


async def test_an_approval_without_the_role_is_forbidden(stage, approval):
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await approval.execute_update(RolloutWorkflow.approve, ANA)

    assert refusal(caught) == ("Forbidden", "this step is approved or rejected by owner only")
    await approval.execute_update(RolloutWorkflow.abort, ANA)
    await approval.result()


async def test_a_rejection_goes_home(stage, approval):
    await approval.execute_update(RolloutWorkflow.reject, OWNER)

    result = await approval.result()
    assert (result.phase, result.reason) == (Phase.ROLLED_BACK, "rejected by ana: a test")


async def test_neither_a_promotion_nor_a_skip_replaces_an_approval(stage, approval):
    for update in (RolloutWorkflow.promote, RolloutWorkflow.skip):
        with pytest.raises(WorkflowUpdateFailedError) as caught:
            await approval.execute_update(update, ANA)
        assert refusal(caught)[0] == "Conflict"
    await approval.execute_update(RolloutWorkflow.abort, ANA)
    await approval.result()


async def test_a_failing_gate_does_not_wait_for_an_approval(stage, approval):
    stage.analysis.shown = lambda order: FAILED

    assert (await approval.result()).phase is Phase.ROLLED_BACK


async def test_an_approval_that_does_not_come_in_time_has_its_reaction(stage):
    late = Approval(timeout=SOON, on_timeout=Reaction.ROLL_BACK)
    handle = await stage.start(plan(canary(Weight(weight=10), late, JUDGED)))

    result = await handle.result()

    assert result.phase is Phase.ROLLED_BACK
    assert result.reason == "undecided at the end: waiting until somebody approves"


async def test_signals_approve_and_reject_likewise(stage, approval):
    await approval.signal(RolloutWorkflow.approve_signal, replace(ANA, roles=("nobody",)))
    await told(stage, EventKind.COMMANDED)
    await approval.signal(RolloutWorkflow.reject_signal, OWNER)

    assert (await approval.result()).phase is Phase.ROLLED_BACK


async def test_a_skip_ends_a_wait(stage):
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(plan(canary(Weight(weight=10), Stay(time=HOUR), Stay())))
    await stage.soaking_at(10)

    await handle.execute_update(RolloutWorkflow.skip, replace(ANA, expected_step=2))
    await stage.until(lambda: stage.analysis.watching.progress.step == 3, "the open pause")
    await handle.execute_update(RolloutWorkflow.promote, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_what_was_proven_before_a_pause_does_not_let_it_go_on_afterwards(stage):
    """The metrics may have gone since: only what is seen now ends a step."""
    away = Seen(verdicts=(verdict(Status.UNAVAILABLE),))

    async def report(order):
        if stage.analysis.watches == 1:
            return PASSED
        stage.looks += 1
        await asyncio.sleep(0.1 if stage.resumed else 60)
        return away

    stage.looks, stage.resumed, stage.analysis.report = 0, False, report
    judged = Analysis(at_least=SECOND, at_most=HOUR)
    handle = await stage.start(plan(canary(Weight(weight=10), judged)))
    await stage.until(lambda: stage.looks == 1)
    await handle.execute_update(RolloutWorkflow.pause, ANA)
    await stage.until(lambda: stage.looks == 2)
    await asyncio.sleep(1)  # at_least is over then
    stage.resumed = True

    await handle.execute_update(RolloutWorkflow.resume, ANA)
    await stage.until(lambda: stage.looks > 4, "looks after the resume")

    assert stage.weights[-1] == (90, 10)
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    await handle.result()


async def test_a_repeated_click_answers_the_same_and_a_stale_one_is_refused(stage):
    made = plan(canary(Weight(weight=10), Stay(), Weight(weight=50), Stay()))
    stage.analysis.shown = lambda order: Seen()
    handle = await stage.start(made)
    await stage.soaking_at(10)
    click = Command(actor="ana", reason="", scope=Scope.STEP, expected_step=2)

    replies = [await handle.execute_update(RolloutWorkflow.promote, click)]
    await stage.soaking_at(50)
    replies.append(await handle.execute_update(RolloutWorkflow.promote, click))

    assert replies[0] == replies[1]
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(RolloutWorkflow.promote, replace(click, actor="bob"))
    assert refusal(caught) == (
        "Conflict",
        "the rollout is at step 4, not 2; look again, then decide",
    )
    await handle.execute_update(RolloutWorkflow.abort, ANA)
    await handle.result()


async def test_before_their_step_the_gates_are_not_asked(stage):
    seen = []

    def shown(order):
        seen.append((order.progress.step, bool(order.plan.gates_at(order.progress.step))))
        return Seen() if seen[-1][1] is False else PASSED

    stage.analysis.shown = shown
    made = plan(canary(Weight(weight=10), Stay(), Weight(weight=50), JUDGED, gates_from=2))
    handle = await stage.start(made)
    await stage.soaking_at(10)
    await handle.execute_update(RolloutWorkflow.promote, replace(ANA, scope=Scope.STEP))

    assert (await handle.result()).phase is Phase.PROMOTED
    assert set(seen) == {(2, False), (4, True)}


# Hooks


def hooked(*hooks, weight=10):
    return plan(replace(canary(CanaryStep(weight=weight, soak=HOUR)), hooks=hooks))


async def test_nothing_is_deployed_before_the_first_hook_says_yes(stage):
    stage.notifier.script("window", NO)
    made = hooked(a_hook("window", HookKind.PRE_ROLLOUT, **OFTEN))
    handle = await stage.start(made)
    await stage.until(lambda: len(stage.notifier.calls) > 2, "to be asked again")
    assert len(stage.runtime.deployed) == 1

    stage.notifier.script("window", YES)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_each_increase_and_the_promotion_are_asked_for(stage):
    made = hooked(
        a_hook("rise", HookKind.CONFIRM_TRAFFIC_INCREASE, **OFTEN),
        a_hook("board", HookKind.CONFIRM_PROMOTION, **OFTEN),
    )
    handle = await stage.start(made)

    assert (await handle.result()).phase is Phase.PROMOTED
    asked = [(one.hook, one.situation.weights) for one in stage.notifier.heard]
    assert asked == [
        ("rise", {"stable": 100, "canary": 0}),
        ("board", {"stable": 90, "canary": 10}),
    ]


async def test_a_failing_gate_does_not_wait_for_a_hook(stage):
    stage.notifier.script("board", NO)
    # The question is step 3, behind the deployment, the weight and its soak.
    stage.analysis.shown = lambda order: (
        FAILED if order.progress.step == 3 and stage.notifier.calls else PASSED
    )
    handle = await stage.start(hooked(a_hook("board", HookKind.CONFIRM_PROMOTION, **OFTEN)))

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    assert stage.notifier.calls


async def test_an_abort_does_not_wait_for_a_hook_that_does_not_answer(stage):
    stage.notifier.script("board", NO)
    stage.analysis.shown = lambda order: PASSED
    handle = await stage.start(hooked(a_hook("board", HookKind.CONFIRM_PROMOTION, **OFTEN)))
    await stage.until(lambda: stage.notifier.calls)

    reply = await handle.execute_update(RolloutWorkflow.abort, ANA)

    assert reply.message == "all traffic is sent to stable"
    assert (await handle.result()).phase is Phase.ROLLED_BACK


async def test_a_person_promotes_past_a_hook_that_says_no(stage):
    stage.notifier.script("board", NO)
    handle = await stage.start(hooked(a_hook("board", HookKind.CONFIRM_PROMOTION, **OFTEN)))
    await stage.until(lambda: stage.notifier.calls)

    await handle.execute_update(RolloutWorkflow.promote, ANA)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_a_rollback_and_the_end_are_told_and_never_waited_for(stage):
    stage.analysis.shown = lambda order: FAILED
    stage.notifier.script("end", NO)
    made = hooked(
        a_hook("home", HookKind.ROLLBACK, retries=0), a_hook("end", HookKind.POST_ROLLOUT)
    )
    handle = await stage.start(made)

    assert (await handle.result()).phase is Phase.ROLLED_BACK
    (home,) = stage.notifier.heard_by("home")
    assert (home.situation.phase, home.reason) == (
        Phase.ROLLING_BACK,
        "Errors are 3 times stable's.",
    )
    (end,) = stage.notifier.heard_by("end")
    assert end.situation.phase is Phase.ROLLED_BACK
    assert EventKind.HOOK_FAILED in stage.journal.kinds, "the end's no is noted"


async def test_every_line_of_the_history_is_told_in_order(stage):
    handle = await stage.start(hooked(a_hook("log", HookKind.EVENT)))
    await handle.result()

    told_of = [one.kind for notice in stage.notifier.heard_by("log") for one in notice.events]
    assert told_of == [kind for kind in stage.journal.kinds if kind is not EventKind.HOOK_FAILED]


# Troubles that hold


@pytest.mark.parametrize("policy", ["on_drift", "on_not_ready"])
async def test_trouble_that_is_to_hold_holds_until_it_is_over(stage, policy):
    over: list[bool] = []
    troubled = {
        "on_drift": replace(PASSED, drift="changed by kubectl-edit"),
        "on_not_ready": replace(PASSED, candidate_not_ready="crashed"),
    }[policy]
    stage.analysis.shown = lambda order: PASSED if over else troubled
    made = plan(
        replace(
            canary(CanaryStep(weight=10, soak=HOUR)), policies=policies(**{policy: Reaction.HOLD})
        )
    )
    handle = await stage.start(made)
    await stage.soaking_at(10)
    await asyncio.sleep(0.2)
    assert stage.weights == [(100, 0), (90, 10)]

    over.append(True)

    assert (await handle.result()).phase is Phase.PROMOTED


async def test_metrics_that_are_away_end_no_timed_pause(stage):
    away = Seen(verdicts=(verdict(Status.UNAVAILABLE),))
    over: list[bool] = []
    stage.analysis.shown = lambda order: PASSED if over else away
    handle = await stage.start(plan(canary(Weight(weight=10), Stay(time=timedelta(0)), JUDGED)))
    await stage.soaking_at(10)
    await asyncio.sleep(0.2)
    assert stage.weights == [(100, 0), (90, 10)]

    over.append(True)

    assert (await handle.result()).phase is Phase.PROMOTED
