"""What ends a wait, of whichever kind, and what a reaction to trouble does meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.decision import decide
from domain.hooks import HookKind
from domain.progress import (
    Acted,
    ActState,
    Advance,
    Cause,
    Finish,
    Hold,
    Pause,
    Progress,
    RollBack,
    Seen,
)
from domain.rollout import Command, Scope
from domain.steps import Reaction
from domain.strategies.canary_steps import (
    Analysis,
    Approval,
    Confirmation,
    Scale,
    Stay,
    Weight,
)
from domain.verdicts import Status
from tests.comparisons import a_comparison
from tests.domain.test_strategies import blue_green, canary, predictive, shadow
from tests.notices import a_hook
from tests.plans import ERRORS, NOON, plan, policies, verdict

MINUTE = timedelta(minutes=1)
HERE = 2  # deploy, set weights, the wait
ANA = Command(actor="ana", reason="why not")
ANALYSIS = Analysis(at_most=MINUTE)


def waiting(step, **changes):
    """A plan whose third step is this wait; an analysis follows it."""
    asked = a_hook("load-test", HookKind.CONFIRM_STEP)
    return plan(canary(Weight(weight=10), step, ANALYSIS, hooks=(asked,), **changes))


def at(step=HERE, *statuses, **changes):
    acted = Acted(state=ActState.DONE, at=NOON)
    seen = Seen(verdicts=tuple(verdict(status) for status in statuses))
    return replace(Progress(step=step, started_at=NOON, acted=acted, seen=seen), **changes)


@pytest.mark.parametrize("status", [Status.PASS, Status.UNDECIDED])
def test_a_timed_pause_ends_with_its_time(status):
    made = waiting(Stay(time=MINUTE))

    early = decide(made, at(HERE, status), NOON + MINUTE / 2)
    assert early == Hold(reason="soaking at 10 %", until=NOON + MINUTE)
    assert decide(made, at(HERE, status), NOON + MINUTE) == Advance(
        to=HERE + 1, reason="stayed for 1 min"
    )


def test_a_timed_pause_does_not_end_while_the_metrics_are_away():
    made, late = waiting(Stay(time=MINUTE)), NOON + 5 * MINUTE

    assert isinstance(decide(made, at(HERE, Status.UNAVAILABLE), late), Hold)
    assert isinstance(decide(made, at(HERE), late), Hold), "before the first look"


def test_a_timed_pause_is_no_shelter_for_a_failing_candidate():
    made = waiting(Stay(time=MINUTE))

    assert isinstance(decide(made, at(HERE, Status.FAIL), NOON), RollBack)


def test_before_the_gates_watch_a_timed_pause_asks_no_metrics():
    made = waiting(Stay(time=MINUTE), gates_from=2)

    assert isinstance(decide(made, at(HERE), NOON + MINUTE), Advance)


def test_an_open_pause_ends_by_a_promotion_of_one():
    made, later = waiting(Stay()), NOON + timedelta(hours=20)

    waits = decide(made, at(HERE, Status.PASS), later)
    assert isinstance(waits, Hold)
    assert waits.reason == "waiting until somebody promotes"
    promoted = at(HERE, promote=replace(ANA, scope=Scope.STEP))
    assert decide(made, promoted, later) == Advance(
        to=HERE + 1, reason="promoted by one step by ana: why not"
    )


def test_an_approval_ends_by_its_word():
    made = waiting(Approval(roles=("owner",)))

    waits = decide(made, at(), NOON)
    assert isinstance(waits, Hold)
    assert waits.reason == "waiting until owner approves"
    assert decide(made, at(approved=ANA), NOON) == Advance(
        to=HERE + 1, reason="approved by ana: why not"
    )


def test_a_rejection_goes_home():
    decided = decide(waiting(Approval()), at(rejected=ANA), NOON)

    assert decided == RollBack(cause=Cause.REJECTED, reason="rejected by ana: why not")


@pytest.mark.parametrize(
    "wait", [Approval(timeout=MINUTE), Confirmation(hook="load-test", timeout=MINUTE)]
)
@pytest.mark.parametrize(
    ("on_timeout", "kind"),
    [
        (Reaction.HOLD, Hold),
        (Reaction.PAUSE, Pause),
        (Reaction.ROLL_BACK, RollBack),
        (Reaction.ADVANCE, Advance),
    ],
)
def test_a_word_that_does_not_come_in_time_has_a_reaction(wait, on_timeout, kind):
    made = waiting(replace(wait, on_timeout=on_timeout))

    assert isinstance(decide(made, at(HERE, Status.PASS), NOON + MINUTE / 2), Hold)
    assert isinstance(decide(made, at(HERE, Status.PASS), NOON + MINUTE), kind)


def test_a_hook_confirms():
    made = waiting(Confirmation(hook="load-test", timeout=MINUTE))

    assert decide(made, at(confirmed="load-test says yes"), NOON) == Advance(
        to=HERE + 1, reason="load-test says yes"
    )


def test_a_skip_goes_past_the_wait():
    skip = replace(ANA, scope=Scope.SKIP)

    assert decide(waiting(Stay()), at(promote=skip), NOON) == Advance(
        to=HERE + 1, reason="skipped by ana: why not"
    )


@pytest.mark.parametrize(
    ("policy", "trouble"),
    [
        ("on_failure", {"verdicts": (verdict(Status.FAIL, reason="bad"),)}),
        ("on_drift", {"drift": "bad"}),
        ("on_not_ready", {"candidate_not_ready": "bad"}),
    ],
)
def test_a_trouble_that_is_to_hold_lets_nothing_advance(policy, trouble):
    """Neither by proof nor by a policy for undecided soaks."""
    rules = policies(**{policy: Reaction.HOLD}, on_undecided=Reaction.ADVANCE)
    made = replace(plan(canary(Weight(weight=10), ANALYSIS)), policies=rules)
    seen = replace(Seen(verdicts=(verdict(Status.PASS),)), **trouble)

    decided = decide(made, at(seen=seen), NOON + timedelta(hours=1))

    assert isinstance(decided, Hold)
    assert decided.reason == "bad"


@pytest.mark.parametrize(
    ("state", "policy", "cause"),
    [
        (ActState.NOT_READY, "on_not_ready", Cause.NOT_READY),
        (ActState.DRIFTED, "on_drift", Cause.DRIFT),
    ],
)
def test_replicas_that_do_not_join_are_for_the_policy(state, policy, cause):
    acted = Acted(state=state, at=NOON, detail="1 of 3 replicas are ready")

    def decided(reaction):
        made = replace(waiting(Scale(replicas=3)), policies=policies(**{policy: reaction}))
        return decide(made, at(acted=acted), NOON)

    reason = "1 of 3 replicas are ready"
    assert decided(Reaction.ROLL_BACK) == RollBack(cause=cause, reason=reason)
    assert decided(Reaction.PAUSE) == Pause(cause=cause, reason=reason)
    held = decided(Reaction.HOLD)
    assert isinstance(held, Hold)
    assert held.reason == reason


def test_a_candidate_that_cannot_be_deployed_goes_home_whatever_the_policy():
    acted = Acted(state=ActState.NOT_READY, at=NOON, detail="no image")
    made = replace(waiting(Scale(replicas=3)), policies=policies(on_not_ready=Reaction.HOLD))

    assert isinstance(decide(made, at(0, acted=acted), NOON), RollBack)


def test_a_trouble_that_is_to_hold_stands_in_nobodys_way():
    made = replace(
        plan(canary(Weight(weight=10), ANALYSIS)), policies=policies(on_drift=Reaction.HOLD)
    )
    seen = Seen(drift="changed")

    assert isinstance(decide(made, at(seen=seen, promote=ANA), NOON), Advance)
    assert isinstance(decide(made, at(seen=seen, abort=ANA), NOON), RollBack)


def test_after_the_switch_a_promotion_goes_to_the_end_of_the_watch():
    made = plan(blue_green(post_promotion=MINUTE))
    watched = 5  # the switch is step 4

    decided = decide(made, at(watched, promote=ANA), NOON)

    assert isinstance(decided, Advance)
    assert str(made.steps[decided.to]) == ("make the candidate stable")


def test_after_the_switch_a_failing_gate_still_goes_home():
    made = plan(blue_green(post_promotion=MINUTE))

    assert isinstance(decide(made, at(5, Status.FAIL), NOON), RollBack)


@pytest.mark.parametrize("gates", [(), (ERRORS,)])
@pytest.mark.parametrize(
    ("status", "decision"),
    [
        (None, Hold),
        (Status.UNDECIDED, Hold),
        (Status.UNAVAILABLE, Hold),
        (Status.PASS, Advance),
        (Status.FAIL, RollBack),
    ],
)
def test_the_answers_of_a_shadow_count_like_one_more_gate(gates, status, decision):
    spec = shadow(gates=gates, compare=a_comparison(path="/v2/models/chat/infer"))
    passed = tuple(verdict(Status.PASS, gate.name) for gate in gates)
    answers = () if status is None else (verdict(status, "answers"),)
    seen = Seen(verdicts=(*passed, *answers))

    assert isinstance(decide(predictive(spec), at(2, seen=seen), NOON), decision)


@pytest.mark.parametrize(
    ("status", "decision"),
    [(None, Hold), (Status.UNAVAILABLE, Hold), (Status.UNDECIDED, Advance)],
)
def test_answers_that_cannot_be_kept_are_not_undecided_at_the_end(status, decision):
    made = predictive(shadow(gates=(), compare=a_comparison(path="/v2/models/chat/infer")))
    seen = Seen(verdicts=() if status is None else (verdict(status, "answers"),))

    assert isinstance(decide(made, at(2, seen=seen), NOON + timedelta(hours=1)), decision)


def test_an_undecided_shadow_concludes_when_its_time_is_over():
    made = predictive(shadow())

    decided = decide(made, at(HERE, Status.UNDECIDED), NOON + MINUTE)

    assert isinstance(decided, Advance)
    assert str(made.steps[decided.to]).startswith("remove")
    assert isinstance(decide(made, at(HERE + 1), NOON), Finish)
