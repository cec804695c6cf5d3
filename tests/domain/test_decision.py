"""What comes next, as a table of rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.decision import decide as decide_next
from domain.decision import late_at
from domain.progress import (
    Acted,
    ActState,
    Advance,
    Cause,
    Finish,
    Hold,
    Pause,
    Paused,
    Progress,
    PutBack,
    RollBack,
    Seen,
)
from domain.rollout import Command, Scope
from domain.steps import Deploy, Promote, Reaction, Retire, SetWeights, Soak
from domain.strategies.canary_steps import Pace
from domain.verdicts import Status
from tests.plans import ERRORS, NOON, QUALITY, canary_spec, plan, policies, verdict


def decide(*arguments: Any) -> Any:
    """What is decided, of whichever kind a test expects it to be."""
    return decide_next(*arguments)


PLAN = plan(canary_spec(10, 50))
DEPLOY, AT_10, SOAK_10, AT_50, SOAK_50, AT_100, PROMOTE, RETIRE = range(8)
ANA = Command(actor="ana", reason="why not")
PASSED = Seen(verdicts=(verdict(Status.PASS),))
FAILED = Seen(verdicts=(verdict(Status.FAIL, reason="Errors are 3 times stable's."),))
UNDECIDED = Seen(verdicts=(verdict(Status.UNDECIDED),))
AWAY = Seen(verdicts=(verdict(Status.UNAVAILABLE),), unavailable_since=NOON)


def at(step: int, **changes) -> Progress:
    acted = Acted(state=ActState.DONE, at=NOON)
    return replace(Progress(step=step, started_at=NOON, acted=acted), **changes)


def with_policies(**changes):
    return replace(PLAN, policies=policies(**changes))


def after(seconds: float):
    return NOON + timedelta(seconds=seconds)


def test_the_plan_of_a_canary_reads_as_its_story():
    assert [type(step) for step in PLAN.steps] == [
        Deploy, SetWeights, Soak, SetWeights, Soak, SetWeights, Promote, Retire,
    ]  # fmt: skip


@pytest.mark.parametrize("step", [DEPLOY, AT_10, AT_50, AT_100, PROMOTE])
def test_a_step_that_is_done_advances(step):
    assert decide(PLAN, at(step), NOON) == Advance(
        to=step + 1, reason=decide(PLAN, at(step), NOON).reason
    )


def test_the_last_step_finishes():
    assert isinstance(decide(PLAN, at(RETIRE), NOON), Finish)


def test_a_soak_whose_gates_all_pass_advances_at_once():
    assert isinstance(decide(PLAN, at(SOAK_10, seen=PASSED), NOON), Advance)


def test_a_timed_soak_waits_for_its_time_even_if_proven():
    timed = plan(canary_spec(10, pace=Pace.TIME, soak=timedelta(minutes=1)))

    assert isinstance(decide(timed, at(SOAK_10, seen=PASSED), after(59)), Hold)
    assert isinstance(decide(timed, at(SOAK_10, seen=PASSED), after(60)), Advance)


@pytest.mark.parametrize("seen", [Seen(), UNDECIDED])
def test_no_evidence_never_advances_by_default(seen):
    assert isinstance(decide(PLAN, at(SOAK_10, seen=seen), after(3600)), Hold)


@pytest.mark.parametrize(
    ("reaction", "decision"),
    [
        (Reaction.HOLD, Hold),
        (Reaction.PAUSE, Pause),
        (Reaction.ROLL_BACK, RollBack),
        (Reaction.ADVANCE, Advance),
    ],
)
def test_undecided_at_the_end_follows_its_policy(reaction, decision):
    judged = with_policies(on_undecided=reaction)

    assert isinstance(decide(judged, at(SOAK_10, seen=UNDECIDED), after(599)), Hold)
    assert isinstance(decide(judged, at(SOAK_10, seen=UNDECIDED), after(600)), decision)


def test_an_outage_of_the_metrics_is_neither_undecided_nor_failed():
    judged = with_policies(
        on_undecided=Reaction.ADVANCE, metrics_stall=timedelta(days=2), deadline=timedelta(days=3)
    )

    assert isinstance(decide(judged, at(SOAK_10, seen=AWAY), after(7200)), Hold)


@pytest.mark.parametrize(
    ("reaction", "decision"),
    [(Reaction.HOLD, Hold), (Reaction.PAUSE, Pause), (Reaction.ROLL_BACK, RollBack)],
)
def test_a_long_outage_of_the_metrics_follows_its_policy(reaction, decision):
    judged = with_policies(on_metrics_unavailable=reaction, metrics_stall=timedelta(minutes=5))

    assert isinstance(decide(judged, at(SOAK_10, seen=AWAY), after(299)), Hold)
    assert isinstance(decide(judged, at(SOAK_10, seen=AWAY), after(300)), decision)


def test_a_failing_gate_rolls_back_with_its_reason():
    assert decide(PLAN, at(SOAK_10, seen=FAILED), NOON) == RollBack(
        cause=Cause.GATE_FAILED, reason="Errors are 3 times stable's."
    )


@pytest.mark.parametrize("paused", [None, Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)])
@pytest.mark.parametrize("promote", [None, ANA])
def test_nothing_stands_before_a_failing_gate(paused, promote):
    progress = at(SOAK_10, seen=FAILED, paused=paused, promote=promote)

    assert isinstance(decide(PLAN, progress, NOON), RollBack)


@pytest.mark.parametrize("step", range(PROMOTE))
@pytest.mark.parametrize("state", list(ActState))
def test_an_abort_rolls_back_from_every_step_before_the_promotion(step, state):
    progress = at(step, acted=Acted(state=state, at=NOON), abort=ANA, promote=ANA, seen=PASSED)

    assert decide(PLAN, progress, NOON) == RollBack(
        cause=Cause.ABORTED, reason="aborted by ana: why not"
    )


@pytest.mark.parametrize("step", range(PROMOTE))
def test_the_deadline_rolls_back_from_every_step_before_the_promotion(step):
    decision = decide(PLAN, at(step, seen=PASSED), NOON + PLAN.policies.deadline)

    assert isinstance(decision, RollBack)
    assert decision.cause is Cause.DEADLINE


HOUR = timedelta(hours=1)
BOUND = replace(with_policies(deadline=2 * HOUR, clearance_deadline=5 * HOUR), asks_the_fleet=True)
HELD = at(SOAK_10, seen=PASSED, asking=AT_50, held_since=NOON + HOUR)


@pytest.mark.parametrize(
    ("progress", "late_after"),
    [
        (at(SOAK_10), 2 * HOUR),
        (at(SOAK_10, held_for=3 * HOUR), 5 * HOUR),
        # While it is held its own time stands still: from 1 h on, for 5 h in all.
        (HELD, 6 * HOUR),
        (replace(HELD, held_for=4 * HOUR), 2 * HOUR),
    ],
    ids=["never held", "held before", "held", "held again"],
)
def test_time_for_which_the_fleet_holds_it_is_not_its_own(progress, late_after):
    late = NOON + late_after
    before = decide(BOUND, progress, late - timedelta(seconds=1))
    assert isinstance(before, Hold)
    assert before.until == late_at(BOUND, progress) == late
    decision = decide(BOUND, progress, late)
    assert isinstance(decision, RollBack)
    assert decision.cause is Cause.DEADLINE


@pytest.mark.parametrize(
    ("progress", "reason"),
    [
        (HELD, "the fleet did not clear the rollout within 5 h"),
        (at(SOAK_10), "the rollout did not end within 2 h"),
        (at(SOAK_10, held_for=timedelta(seconds=0.2)), "the rollout did not end within 2 h"),
        (
            at(SOAK_10, held_for=HOUR),
            "the rollout did not end within 2 h, beside 1 h for which the fleet held it",
        ),
    ],
)
def test_it_is_said_whose_time_was_over(progress, reason):
    assert decide(BOUND, progress, NOON + 9 * HOUR).reason == reason


def test_what_would_give_the_candidate_more_waits_for_the_fleet():
    held = decide(BOUND, at(SOAK_10, seen=PASSED), NOON)
    assert isinstance(held, Hold)
    assert held.clears == AT_50
    assert isinstance(decide(BOUND, at(SOAK_10, seen=PASSED, cleared=AT_50), NOON), Advance)
    assert decide(BOUND, replace(HELD, seen=FAILED), NOON + HOUR).cause is Cause.GATE_FAILED


@pytest.mark.parametrize("step", [PROMOTE, RETIRE])
def test_after_the_promotion_there_is_only_onward(step):
    progress = at(step, abort=ANA, seen=FAILED)

    assert isinstance(decide(PLAN, progress, NOON + timedelta(days=9)), Advance | Finish)


@pytest.mark.parametrize("step", range(AT_100))
def test_a_full_promotion_jumps_to_all_traffic(step):
    assert decide(PLAN, at(step, promote=ANA), NOON) == Advance(
        to=AT_100, reason="promoted by ana: why not"
    )


def test_a_promotion_by_one_step_goes_to_the_next_weight():
    one = replace(ANA, scope=Scope.STEP)

    assert decide(PLAN, at(SOAK_10, promote=one), NOON) == Advance(
        to=AT_50, reason="promoted by one step by ana: why not"
    )
    assert decide(PLAN, at(SOAK_50, promote=one), NOON).to == AT_100


def test_a_paused_rollout_holds_though_proven():
    paused = Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)

    assert isinstance(decide(PLAN, at(SOAK_10, seen=PASSED, paused=paused), NOON), Hold)


@pytest.mark.parametrize(("step", "next_step"), [(AT_10, SOAK_10), (AT_50, SOAK_50)])
def test_a_rollout_paused_while_its_weight_settles_soaks_at_it_watched(step, next_step):
    paused = Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)

    assert decide(PLAN, at(step, paused=paused), NOON).to == next_step


@pytest.mark.parametrize("step", [DEPLOY, AT_100])
def test_a_paused_rollout_takes_no_step_that_is_not_a_soak(step):
    paused = Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)

    assert isinstance(decide(PLAN, at(step, paused=paused), NOON), Hold)


def test_a_paused_rollout_whose_weight_has_not_settled_does_not_soak():
    paused = Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)
    silent = Acted(state=ActState.SILENT, at=NOON, detail="no request")

    assert isinstance(decide(PLAN, at(AT_10, acted=silent, paused=paused), NOON), Hold)


def test_traffic_that_does_not_obey_rolls_back():
    acted = Acted(state=ActState.DISOBEYED, at=NOON, detail="0.0 % of 3,412 requests observed")

    assert decide(PLAN, at(AT_10, acted=acted), NOON) == RollBack(
        cause=Cause.NOT_SETTLED, reason="0.0 % of 3,412 requests observed"
    )


def test_a_route_without_requests_holds():
    acted = Acted(state=ActState.SILENT, at=NOON, detail="no request")

    assert isinstance(decide(PLAN, at(AT_10, acted=acted), NOON), Hold)


def test_a_candidate_that_died_rolls_back():
    seen = replace(PASSED, candidate_not_ready="chat-v2 is missing")

    assert decide(PLAN, at(SOAK_10, seen=seen), NOON).cause is Cause.NOT_READY


def test_nothing_advances_while_stable_is_being_brought_up_again():
    seen = replace(PASSED, stable_not_ready="chat-v1 is missing")

    assert isinstance(decide(PLAN, at(SOAK_10, seen=seen), NOON), Hold)
    assert isinstance(decide(PLAN, at(SOAK_10, seen=seen, abort=ANA), NOON), RollBack)


@pytest.mark.parametrize("paused", [None, Paused(cause=Cause.COMMAND, reason="lunch", since=NOON)])
def test_weights_that_an_earlier_run_of_ours_wrote_are_put_back_without_asking(paused):
    seen = replace(PASSED, displaced="backendRefs[0] is 50 %")

    assert decide(PLAN, at(SOAK_10, seen=seen, paused=paused), NOON) == PutBack(
        reason="backendRefs[0] is 50 %"
    )


def test_weights_that_are_displaced_again_are_somebody_elses_doing():
    seen = replace(PASSED, displaced="backendRefs[0] is 50 %")
    progress = at(SOAK_10, seen=seen, was_put_back=True)

    assert decide(PLAN, progress, NOON).cause is Cause.DRIFT


def test_nothing_is_put_back_that_goes_home():
    seen = replace(FAILED, displaced="backendRefs[0] is 50 %")

    assert isinstance(decide(PLAN, at(SOAK_10, seen=seen), NOON), RollBack)


def test_drift_pauses_unless_the_policy_says_to_roll_back():
    seen = replace(PASSED, drift="backendRefs[1] is 60 %")

    assert decide(PLAN, at(SOAK_10, seen=seen), NOON).cause is Cause.DRIFT
    assert isinstance(
        decide(with_policies(on_drift=Reaction.ROLL_BACK), at(SOAK_10, seen=seen), NOON), RollBack
    )


def test_a_soak_without_gates_ends_by_time_alone():
    ungated = plan(canary_spec(10, gates=(), soak=timedelta(seconds=30)))

    assert isinstance(decide(ungated, at(SOAK_10), after(29)), Hold)
    assert isinstance(decide(ungated, at(SOAK_10), after(30)), Advance)


def test_holding_says_when_time_alone_changes_the_answer():
    hold = decide(PLAN, at(SOAK_10, seen=UNDECIDED), NOON)

    assert hold.until == after(600)
    assert not isinstance(
        decide(with_policies(on_undecided=Reaction.PAUSE), at(SOAK_10, seen=UNDECIDED), hold.until),
        Hold,
    )


def gated(**marks):
    """A canary with a gate of each kind, whose `errors` and `quality` are as marked."""
    gates = (
        replace(ERRORS, **marks.get("errors", {})),
        replace(QUALITY, **marks.get("quality", {})),
    )
    return lambda **changes: plan(canary_spec(10, 50, gates=gates, policies=policies(**changes)))


def said(errors, quality):
    return Seen(verdicts=(verdict(errors), verdict(quality, "quality", "Quality is 0.5.")))


def test_gates_of_both_kinds_must_pass():
    made = gated()()
    for errors, quality, decision in (
        (Status.PASS, Status.PASS, Advance),
        (Status.PASS, Status.UNDECIDED, Hold),
        (Status.UNDECIDED, Status.PASS, Hold),
        (Status.PASS, Status.UNAVAILABLE, Hold),
        (Status.PASS, Status.FAIL, RollBack),
        (Status.FAIL, Status.PASS, RollBack),
    ):
        assert isinstance(decide(made, at(SOAK_10, seen=said(errors, quality)), NOON), decision)


def test_a_reading_that_was_not_taken_yet_holds():
    made = gated()()
    assert isinstance(decide(made, at(SOAK_10, seen=PASSED), NOON), Hold)


@pytest.mark.parametrize("quality", list(Status))
def test_a_dry_run_decides_nothing_whatever_it_says(quality):
    made = gated(quality={"dry_run": True})()
    assert isinstance(decide(made, at(SOAK_10, seen=said(Status.PASS, quality)), NOON), Advance)
    assert isinstance(decide(made, at(SOAK_10, seen=said(Status.UNDECIDED, quality)), NOON), Hold)
    failed = decide(made, at(SOAK_10, seen=said(Status.FAIL, quality)), NOON)
    assert (failed.cause, failed.reason) == (Cause.GATE_FAILED, "because")


@pytest.mark.parametrize("errors", list(Status))
def test_a_dry_run_with_statistics_decides_as_little(errors):
    made = gated(errors={"dry_run": True})()
    assert isinstance(decide(made, at(SOAK_10, seen=said(errors, Status.PASS)), NOON), Advance)
    assert isinstance(decide(made, at(SOAK_10, seen=said(errors, Status.UNDECIDED)), NOON), Hold)


def test_a_soak_with_dry_runs_alone_takes_its_time_as_one_without_gates():
    made = gated(errors={"dry_run": True}, quality={"dry_run": True})()
    seen = said(Status.FAIL, Status.PASS)
    assert isinstance(decide(made, at(SOAK_10, seen=seen), after(599)), Hold)
    assert isinstance(decide(made, at(SOAK_10, seen=seen), after(600)), Advance)


def test_a_dry_run_that_is_unavailable_does_not_keep_a_soak_from_its_end():
    seen = said(Status.UNDECIDED, Status.UNAVAILABLE)
    for is_dry, decision in ((True, Advance), (False, Hold)):
        made = gated(quality={"dry_run": is_dry})(on_undecided=Reaction.ADVANCE)
        assert isinstance(decide(made, at(SOAK_10, seen=seen), after(600)), decision)


@pytest.mark.parametrize(
    ("on_failure", "decision"),
    [(Reaction.ROLL_BACK, Pause), (Reaction.PAUSE, Pause), (Reaction.HOLD, Hold)],
)
@pytest.mark.parametrize("which", ["errors", "quality"])
def test_a_fail_that_is_not_critical_asks_a_person_at_the_most(which, on_failure, decision):
    made = gated(**{which: {"critical": False}})(on_failure=on_failure)
    found = {"errors": Status.PASS, "quality": Status.PASS, which: Status.FAIL}
    decided = decide(made, at(SOAK_10, seen=said(**found)), NOON)
    assert isinstance(decided, decision)
    assert decided.reason == ("because" if which == "errors" else "Quality is 0.5.")


def test_a_critical_fail_behind_one_that_is_not_rolls_back_with_its_own_reason():
    made = gated(errors={"critical": False})()
    decided = decide(made, at(SOAK_10, seen=said(Status.FAIL, Status.FAIL)), NOON)
    assert decided == RollBack(cause=Cause.GATE_FAILED, reason="Quality is 0.5.")


def test_a_gate_that_is_not_critical_must_pass_all_the_same():
    made = gated(quality={"critical": False})()
    seen = said(Status.PASS, Status.UNDECIDED)
    assert isinstance(decide(made, at(SOAK_10, seen=seen), NOON), Hold)
