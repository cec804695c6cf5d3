"""What a trial comes to, look by look."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.decision import decide
from domain.hooks import HookKind
from domain.plan import Policies
from domain.progress import (
    Acted,
    ActState,
    Advance,
    Cause,
    Finish,
    Hold,
    Pause,
    Progress,
    Reallocate,
    RollBack,
    Seen,
)
from domain.rollout import Command, Scope
from domain.steps import Reaction
from domain.strategies.ab_test import OnWinner
from domain.trial_verdicts import Outcome
from domain.verdicts import Status
from tests.notices import a_hook
from tests.plans import ERRORS, NOON, ab_test, policies, trial, verdict

SOAK, FULL_STEP, CONCLUDE = 2, 3, 6
LATER = NOON + timedelta(minutes=5)
WON = trial(Outcome.WINNER, "b", c="b", stable="b")
PASSED = tuple(verdict(Status.PASS, variant=name) for name in ("b", "c"))


def progress(seen=None, step=SOAK, **changes):
    acted = Acted(state=ActState.DONE, at=NOON)
    made = Progress(step=step, started_at=NOON, acted=acted, seen=seen or Seen(trial=trial()))
    return replace(made, **changes)


def says(seen=None, plan=None, now=LATER, **changes):
    return decide(plan or ab_test(), progress(seen, **changes), now)


def without(plan, *names):
    """Where these arms have left."""
    decided = says(Seen(trial=trial(), unfit=dict.fromkeys(names, "gone")), plan)
    assert isinstance(decided, Reallocate)
    return decided.traffic


def without_all(plan):
    """Where all arms have left, proven worse than stable."""
    beaten = Seen(trial=trial(Outcome.WINNER, "stable", b="stable", c="stable"))
    decided = says(beaten, plan)
    assert isinstance(decided, Reallocate)
    return decided.traffic


def test_nothing_is_decided_before_the_first_evidence():
    assert isinstance(says(Seen()), Hold)
    assert isinstance(says(), Hold)


def test_an_arm_whose_gate_fails_leaves_and_the_test_goes_on():
    plan = ab_test()
    decided = says(Seen(trial=trial(), verdicts=(verdict(Status.FAIL, variant="b"),)), plan)
    assert isinstance(decided, Reallocate)
    assert decided.leaving == ("b",)
    assert plan.weights_under(decided.traffic) == {"stable": 67, "b": 0, "c": 33}


def test_an_arm_that_cannot_serve_leaves():
    decided = says(Seen(trial=trial(), unfit={"c": "chat-v3 is failed"}))
    assert isinstance(decided, Reallocate)
    assert decided.leaving == ("c",)
    assert "chat-v3 is failed" in decided.reason


def test_nothing_holds_up_an_arm_that_leaves():
    seen = Seen(trial=trial(), verdicts=(verdict(Status.FAIL, variant="b"),), drift="moved")
    for changes in ({}, {"promote": Command(actor="ada", reason="", variant="c")}):
        assert isinstance(says(seen, **changes), Reallocate)


def test_the_last_arm_to_fail_takes_the_test_with_it():
    both = tuple(verdict(Status.FAIL, variant=name) for name in ("b", "c"))
    decided = says(Seen(trial=trial(), verdicts=both))
    assert isinstance(decided, RollBack)
    assert decided.cause is Cause.GATE_FAILED
    plan = ab_test()
    alone = says(
        Seen(trial=trial(), verdicts=(verdict(Status.FAIL, variant="c"),)),
        plan,
        traffic=without(plan, "b"),
    )
    assert isinstance(alone, RollBack)


def test_what_is_seen_of_an_arm_that_has_left_counts_no_more():
    plan = ab_test()
    seen = Seen(trial=trial(), verdicts=(verdict(Status.FAIL, variant="b"),))
    assert isinstance(says(seen, plan, traffic=without(plan, "b")), Hold)


@pytest.mark.parametrize(("reaction", "kind"), [(Reaction.PAUSE, Pause), (Reaction.HOLD, Hold)])
def test_a_policy_that_does_not_roll_back_leaves_the_arm_in(reaction, kind):
    plan = ab_test(policies=policies(on_failure=reaction))
    seen = Seen(trial=trial(), verdicts=(verdict(Status.FAIL, variant="b"),))
    assert isinstance(says(seen, plan), kind)


def test_who_is_proven_worse_leaves_at_once():
    decided = says(Seen(trial=trial(c="b")))
    assert isinstance(decided, Reallocate)
    assert decided.leaving == ("c",)
    assert "b is proven better" in decided.reason


def test_stable_stays_even_if_it_is_proven_worse():
    assert isinstance(says(Seen(trial=trial(stable="b"))), Hold)


def test_a_winner_is_promoted_once_its_gates_have_passed():
    plan = ab_test()
    traffic = without(plan, "c")
    undecided = Seen(trial=WON, verdicts=(verdict(Status.UNDECIDED, variant="b"),))
    assert isinstance(says(undecided, plan, traffic=traffic), Hold)
    assert isinstance(says(Seen(trial=WON), plan, traffic=traffic), Hold)
    decided = says(Seen(trial=WON, verdicts=PASSED[:1]), plan, traffic=traffic)
    assert decided == Advance(to=FULL_STEP, reason=WON.reason, chosen="b")


def test_a_winner_waits_while_the_metrics_are_away():
    plan = ab_test()
    seen = Seen(trial=WON, verdicts=PASSED[:1], unavailable_since=LATER)
    assert isinstance(says(seen, plan, traffic=without(plan, "c")), Hold)


@pytest.mark.parametrize(
    "verdict_of_trial",
    [
        trial(Outcome.WINNER, "stable", b="stable", c="stable"),
        trial(Outcome.EQUIVALENT),
        trial(Outcome.UNOPPOSED),
    ],
)
def test_without_a_challenger_that_has_won_stable_keeps_the_traffic(verdict_of_trial):
    plan = ab_test()
    seen = Seen(trial=verdict_of_trial)
    decided = says(seen, plan)
    if isinstance(decided, Reallocate):  # who is beaten leaves first
        decided = says(seen, plan, traffic=decided.traffic)
    said = f"stable keeps the traffic. {verdict_of_trial.reason}"
    assert decided == Advance(to=CONCLUDE, reason=said)


@pytest.mark.parametrize(
    ("reaction", "kind"),
    [(Reaction.ADVANCE, Advance), (Reaction.HOLD, Hold), (Reaction.ROLL_BACK, RollBack)],
)
def test_the_time_limit_decides_nothing_by_itself(reaction, kind):
    plan, over = ab_test(on_undecided=reaction), NOON + timedelta(hours=1)
    decided = says(Seen(trial=trial(), verdicts=PASSED), plan, now=over)
    assert isinstance(decided, kind)
    if isinstance(decided, Advance):
        assert (decided.to, decided.chosen) == (CONCLUDE, "")


@pytest.mark.parametrize("reaction", [Reaction.ADVANCE, Reaction.ROLL_BACK, Reaction.PAUSE])
def test_the_time_limit_waits_for_metrics_that_are_away(reaction):
    plan, over = ab_test(on_undecided=reaction, gates=()), NOON + timedelta(hours=1)
    assert isinstance(says(Seen(trial=trial(), unavailable_since=over), plan, now=over), Hold)


def test_metrics_that_a_trial_needs_are_critical_whatever_its_gates_are():
    rolls_back = policies(on_metrics_unavailable=Reaction.ROLL_BACK)
    late = NOON + rolls_back.metrics_stall
    for gates in ((), (replace(ERRORS, critical=False),), (replace(ERRORS, dry_run=True),)):
        plan = ab_test(gates=gates, policies=rolls_back)
        seen = Seen(trial=trial(), unavailable_since=NOON)
        assert isinstance(says(seen, plan, now=late), RollBack)


def test_nothing_is_decided_before_its_shortest_time():
    plan = ab_test(at_least=timedelta(minutes=30))
    seen = Seen(trial=trial(Outcome.EQUIVALENT))
    assert isinstance(says(seen, plan), Hold)
    assert isinstance(says(seen, plan, now=NOON + timedelta(minutes=30)), Advance)


def test_weights_that_are_due_are_written_when_nothing_speaks_against_it():
    plan, due = ab_test(), {"stable": 20, "b": 50, "c": 30}
    decided = says(Seen(trial=trial(), due=due), plan)
    assert isinstance(decided, Reallocate)
    assert decided.leaving == ()
    assert plan.weights_under(decided.traffic) == due
    again = says(Seen(trial=trial(), due=due), plan, traffic=decided.traffic)
    assert isinstance(again, Hold)
    assert isinstance(says(Seen(trial=trial(), due=due, drift="moved")), Pause)


def test_weights_follow_the_reward_before_the_shortest_time_is_over():
    plan, due = ab_test(at_least=timedelta(minutes=30)), {"stable": 20, "b": 50, "c": 30}
    assert isinstance(says(Seen(trial=trial(), due=due), plan), Reallocate)


def test_a_person_promotes_the_arm_that_they_name():
    command = Command(actor="ada", reason="", scope=Scope.FULL, variant="c")
    decided = says(promote=command)
    assert isinstance(decided, Advance)
    assert (decided.to, decided.chosen) == (FULL_STEP, "c")
    plan = ab_test()
    assert isinstance(says(plan=plan, promote=command, traffic=without(plan, "c")), Hold)


def test_a_promotion_without_a_name_means_the_only_arm_that_is_left():
    plan, command = ab_test(), Command(actor="ada", reason="")
    decided = says(plan=plan, promote=command, traffic=without(plan, "b"))
    assert isinstance(decided, Advance)
    assert decided.chosen == "c"
    nobody = without_all(plan)
    assert isinstance(says(plan=plan, promote=command, traffic=nobody), Hold)


def test_a_skip_ends_a_test_that_keeps_stable_whatever_arms_are_left():
    plan = ab_test(on_winner=OnWinner.KEEP)
    skip = Command(actor="ada", reason="", scope=Scope.SKIP)
    for traffic in (None, without(plan, "b")):
        decided = says(plan=plan, promote=skip, traffic=traffic)
        assert isinstance(decided, Advance)
        assert (decided.to, decided.chosen) == (3, "")


def test_a_hook_that_does_not_answer_before_the_test_pauses_it():
    hook = a_hook("leave", HookKind.CONFIRM_TRAFFIC_INCREASE, ask_for=timedelta(hours=1))
    plan = ab_test(hooks=(hook,))
    assert plan.gates_at(1) == ()
    assert plan.gates_at(3) == plan.gates
    assert isinstance(says(Seen(), plan, step=1, now=NOON + timedelta(hours=1)), Pause)


def test_a_test_that_asks_waits_for_a_person_with_the_winner_chosen():
    plan = ab_test(on_winner=OnWinner.ASK)
    traffic = without(plan, "c")
    decided = says(Seen(trial=WON, verdicts=PASSED[:1]), plan, traffic=traffic)
    assert decided == Advance(to=3, reason=WON.reason, chosen="b")
    chosen = plan.choosing("b")
    seen = Seen(trial=WON, verdicts=PASSED[:1])
    assert isinstance(says(seen, chosen, step=3, traffic=traffic), Hold)
    failed = Seen(trial=WON, verdicts=(verdict(Status.FAIL, variant="b"),))
    assert isinstance(says(failed, chosen, step=3, traffic=traffic), RollBack)
    said = says(seen, chosen, step=3, traffic=traffic, promote=Command(actor="ada", reason=""))
    assert isinstance(said, Advance)
    assert (said.to, said.chosen) == (4, "b")


def test_behind_the_retirement_and_the_conclusion_there_is_nothing():
    assert isinstance(says(step=5), Finish)
    assert isinstance(says(step=CONCLUDE), Finish)


def test_an_abort_comes_before_all_else():
    seen = Seen(trial=WON, verdicts=(verdict(Status.FAIL, variant="c"), PASSED[0]))
    decided = says(seen, abort=Command(actor="ada", reason=""))
    assert isinstance(decided, RollBack)
    assert decided.cause is Cause.ABORTED


def test_the_policies_of_a_trial_are_those_of_every_rollout():
    assert ab_test(policies=Policies()).policies == Policies()
