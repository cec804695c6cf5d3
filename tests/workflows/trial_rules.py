"""The rules of a trial that must never break, beside those of every rollout."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from domain.plan import Plan
from domain.progress import Seen
from domain.rollout import Action, EventKind
from domain.steps import Reaction
from domain.traffic import FULL
from domain.trial import Trial
from domain.trial_verdicts import Outcome
from domain.verdicts import Status
from tests.fakes.router import Write
from tests.workflows.tale import Tale


def require_fair_trial(tale: Tale, trial: Trial) -> None:
    """Raise AssertionError for the first rule of a trial that is broken."""
    require_no_return(tale)
    require_left_for_a_reason(tale)
    require_that_the_unfit_leave(tale)
    require_divided_by_what_was_seen(tale)
    require_fixed_positions(tale, trial)
    require_that_all_traffic_is_earned(tale)


def as_chosen(tale: Tale) -> Plan:
    """The plan with the one as its candidate that was last given all traffic, if any was."""
    given = [name for write in writes(tale) for name in (who_has_all(tale.plan, write),) if name]
    return tale.plan.choosing(given[-1] if given else "")


def writes(tale: Tale) -> list[Write]:
    return [one.write for one in tale.witness.written]


def weights_of(plan: Plan, write: Write) -> dict[str, int]:
    """The weights of the challengers that the route knows, by name."""
    slots = write.slots or ()
    known = (one for one in plan.challengers if one.slot < len(slots))
    return {
        one.name: slots[one.slot].weight
        for one in known
        if slots[one.slot].workload == one.workload.name
    }


def who_has_all(plan: Plan, write: Write) -> str:
    weights = weights_of(plan, write)
    return next((name for name, weight in weights.items() if weight == FULL), "")


# Rule 2, where an arm leaves: no other need be ready for that


def only_takes(plan: Plan, before: Write, after: Write) -> bool:
    """Whether no arm of a trial gets more than before, by weight or by header."""
    had, has = weights_of(plan, before), weights_of(plan, after)
    is_led_on = after.extras.workloads <= before.extras.workloads | {plan.stable.workload.name}
    gets_no_more = all(weight <= had.get(name, 0) for name, weight in has.items())
    return plan.trial is not None and is_led_on and gets_no_more


# Who has left has left for good


def departures(tale: Tale) -> Iterator[tuple[str, str, datetime]]:
    """Who left, in which run and when, as the history tells it."""
    for entry in tale.stage.journal.entries:
        for name in entry.data.get("leaving", ()):
            yield name, entry.key.split("/")[0], entry.at


def of_those_left_in(tale: Tale, seen: Seen | None) -> Seen | None:
    """What was seen, but for the arms that have left since."""
    gone = {name for name, _, _ in departures(tale)}
    if seen is None or not gone:
        return seen
    verdicts = tuple(v for v in seen.verdicts if v.variant not in gone)
    unfit = {name: why for name, why in seen.unfit.items() if name not in gone}
    mine = tale.plan.candidate.name
    not_ready = "" if mine in gone else seen.candidate_not_ready
    return replace(seen, verdicts=verdicts, unfit=unfit, candidate_not_ready=not_ready)


def require_no_return(tale: Tale) -> None:
    workloads = {one.name: one.workload.name for one in tale.plan.challengers}
    for name, run_id, at in departures(tale):
        for write in writes(tale):
            if write.owner.run_id == run_id and write.owner.ordered_at >= at:
                assert not weights_of(tale.plan, write).get(name), f"{name} has left: {write}"
                assert workloads[name] not in write.extras.workloads, f"{name} has left: {write}"


def require_left_for_a_reason(tale: Tale) -> None:
    for name, run_id, _ in departures(tale):
        looks = (w.returned for w in tale.witness.watched if w.run_id == run_id)
        assert any(must_leave(tale.plan, seen, name) for seen in looks if seen), f"{name} left"


def require_that_the_unfit_leave(tale: Tale) -> None:
    """Once the workflow knows that an arm must leave, nobody watches it any more."""
    for progress in (one.order.progress for one in tale.witness.watched):
        for name in progress.arms_in(tale.plan):
            assert not must_leave(tale.plan, progress.seen, name), f"{name} stays: {progress}"


def must_leave(plan: Plan, seen: Seen, name: str) -> bool:
    policies = plan.policies
    verdicts = [v for v in plan.deciding(seen.verdicts) if v.variant == name]
    fails = any(verdict.status is Status.FAIL for verdict in verdicts)
    return (
        (fails and policies.on_failure is Reaction.ROLL_BACK)
        or (name in seen.unfit and policies.on_not_ready is Reaction.ROLL_BACK)
        or is_beaten(seen, name)
    )


def is_beaten(seen: Seen, name: str) -> bool:
    return seen.trial is not None and name in seen.trial.eliminated


# Traffic is divided as was asked for at first, then by what is seen


def require_divided_by_what_was_seen(tale: Tale) -> None:
    """Each write is what was before, what was due, or either without those who leave."""
    plan = tale.plan
    opening = next(s.arms.weights for s in map(plan.traffic_at, opened_at(plan)) if s.arms)
    dues = [w.returned.due for w in tale.witness.watched if w.returned and w.returned.due]
    known: list[Mapping[str, int]] = [opening, *dues]
    for write in writes(tale):
        weights = weights_of(plan, write)
        if who_has_all(plan, write):
            continue  # which must be earned
        assert any(is_part(weights, of) for of in known), f"nobody asked for {write}"


def opened_at(plan: Plan) -> range:
    return range(len(plan.steps))


def is_part(weights: Mapping[str, int], of: Mapping[str, int]) -> bool:
    """Whether each arm has what it has there, or nothing."""
    return all(weight in {0, of[name]} for name, weight in weights.items())


def require_fixed_positions(tale: Tale, trial: Trial) -> None:
    """The gateway counts by position: a header route stays where it is, or all of them go."""
    named = trial.arms if trial.sticky_header else tuple(trial.matches)
    workloads = {v.name: v.workload.name for v in (tale.plan.stable, *tale.plan.challengers)}
    for write in writes(tale):
        routes = write.extras.header_routes
        assert tuple(one.name for one in routes) in {(), named}, f"moved: {routes}"
        for one in routes:
            assert one.workload in {workloads[one.name], workloads[trial.arms[0]]}


# Rule 4: never promote blind


def require_that_all_traffic_is_earned(tale: Tale) -> None:
    for write in writes(tale):
        name = who_has_all(tale.plan, write)
        if name and not is_named_by_people(tale, name, write.owner.ordered_at):
            looks = [w for w in tale.witness.watched if w.run_id == write.owner.run_id]
            decided = [w for w in looks if w.order.progress.step == tale.plan.decided_step]
            won = [
                w for w in decided if has_won(tale.plan, w.order.progress.step, w.returned, name)
            ]
            assert won or made_stable(tale) == name, f"{name} has not earned {write}"


def made_stable(tale: Tale) -> str:
    """Who the registry calls stable, "" for the one of before."""
    named = [entry.promoted.name for entry in tale.stage.journal.entries if entry.promoted]
    return named[-1] if named else ""


def is_named_by_people(tale: Tale, name: str, by: datetime) -> bool:
    """Whether somebody promoted this arm; without a name they mean the only one that is left."""
    gone = {left: at for left, _, at in departures(tale)}
    for entry in tale.stage.journal.entries:
        heard = entry.kind is EventKind.COMMANDED and entry.data.get("action")
        if heard not in {Action.PROMOTE, Action.SKIP} or entry.at > by:
            continue
        variant = tale.asked[entry.data["actor"]][1].variant
        names = [one.name for one in tale.plan.challengers]
        present = [one for one in names if one not in gone or gone[one] > entry.at]
        if variant == name or (not variant and present == [name]):
            return True
    return False


def has_won(plan: Plan, step: int, seen: Seen | None, name: str) -> bool:
    """Whether proof named it the winner, with all of its gates passing and the metrics there."""
    if seen is None or seen.trial is None or seen.unavailable_since is not None:
        return False
    verdicts = [v for v in plan.deciding(seen.verdicts) if v.variant == name]
    passes = all(v.status is Status.PASS for v in verdicts)
    return (
        seen.trial.outcome is Outcome.WINNER
        and seen.trial.winner == name
        and passes
        and len(verdicts) == plan.verdicts_at(step)
    )


def has_come_to(plan: Plan, step: int, to: int | None, seen: Seen | None) -> bool:
    """Whether what was seen of a trial leads there: on with the winner, or to the conclusion."""
    if seen is None or seen.trial is None or seen.unavailable_since is not None:
        return False
    winner = seen.trial.winner
    is_decided = seen.trial.outcome is not Outcome.UNDECIDED
    if winner is None or winner == plan.stable.name:
        return is_decided and to == plan.conclude_step
    return to == step + 1 and has_won(plan, step, seen, winner)
