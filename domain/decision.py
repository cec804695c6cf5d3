"""What comes next: a pure function of the plan, the progress so far and the time.

The order of the rules is the policy: what takes traffic away from the candidate is looked at first
and waits for nothing; what gives it more is looked at last.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain import silence, trial_decision
from domain.plan import Plan, Policies
from domain.progress import (
    ActState,
    Advance,
    Cause,
    Decision,
    Finish,
    Hold,
    Pause,
    Paused,
    Progress,
    PutBack,
    RollBack,
)
from domain.rollout import Command, Scope
from domain.spans import spoken
from domain.steps import Reaction, Retire, SetScale, SetWeights, Soak, Until
from domain.trial_decision import troubles_of
from domain.verdicts import Status

# Being cleared at once takes a moment, too.
_WORTH_TELLING = timedelta(seconds=1)


def decide(plan: Plan, progress: Progress, now: datetime) -> Decision:
    """Say what comes next. Calling it again with the same arguments says the same."""
    decision = _wanted(plan, progress, now)
    if not isinstance(decision, Advance) or progress.cleared == decision.to:
        return decision
    if plan.needs_clearance(progress.step, decision.to):
        reason = f"waiting for the fleet's clearance; {decision.reason}"
        return Hold(reason=reason, until=late_at(plan, progress), clears=decision.to)
    return decision


def late_at(plan: Plan, progress: Progress) -> datetime:
    """When the rollout is late, as things stand.

    The time for which the fleet held it does not count; what bounds that is a deadline of its own.
    """
    if progress.held_since is not None:
        return progress.held_since + plan.policies.clearance_deadline - progress.held_for
    return progress.started_at + plan.policies.deadline + progress.held_for


def _wanted(plan: Plan, progress: Progress, now: datetime) -> Decision:
    """What would come next if this rollout were alone."""
    if plan.is_past_promotion(progress.step):
        return _next(plan, progress.step, progress.acted.detail or "promoted")
    against = _against(plan, progress, now)
    if isinstance(against, RollBack):
        return against
    first = trial_decision.taken_out(plan, progress) or _asked_to_go_on(plan, progress)
    if first is not None:
        return first
    if progress.seen.displaced and not progress.was_put_back:
        return PutBack(reason=progress.seen.displaced)
    if progress.paused is not None:
        return _while_paused(plan, progress, progress.paused)
    return against or _way_on(plan, progress, now)


def _against(plan: Plan, progress: Progress, now: datetime) -> RollBack | Pause | Hold | None:
    """The first thing that speaks against the candidate, most serious first."""
    if progress.abort is not None:
        return RollBack(cause=Cause.ABORTED, reason=_said(progress.abort, "aborted"))
    if progress.rejected is not None:
        return RollBack(cause=Cause.REJECTED, reason=_said(progress.rejected, "rejected"))
    pauses: list[Pause] = []
    holds: list[Hold] = []
    for cause, reaction, reason in _troubles(plan, progress, now):
        match reaction:
            case Reaction.ROLL_BACK:
                return RollBack(cause=cause, reason=reason)
            case Reaction.PAUSE:
                pauses.append(Pause(cause=cause, reason=reason))
            case Reaction.HOLD:
                holds.append(Hold(reason=reason, until=late_at(plan, progress)))
            case Reaction.ADVANCE:  # never for what speaks against the candidate: see validation
                continue
    if pauses:
        return pauses[0]
    return holds[0] if holds else None


def _troubles(
    plan: Plan, progress: Progress, now: datetime
) -> Iterable[tuple[Cause, Reaction, str]]:
    policies, seen, acted = plan.policies, progress.seen, progress.acted
    if progress.arms_in(plan):
        yield from trial_decision.troubles(plan, progress)
    else:
        yield from troubles_of(plan, seen.verdicts, seen.candidate_not_ready)
    if acted.state is ActState.NOT_READY:
        # Who is scaled serves already: unlike with a deployment, there is something to wait with.
        scales = isinstance(plan.steps[progress.step], SetScale)
        reaction = policies.on_not_ready if scales else Reaction.ROLL_BACK
        yield Cause.NOT_READY, reaction, acted.detail
    if acted.state is ActState.DISOBEYED:
        yield Cause.NOT_SETTLED, policies.on_not_settled, acted.detail
    if acted.state is ActState.DRIFTED:
        yield Cause.DRIFT, policies.on_drift, acted.detail
    # Put back once, the weights were displaced again: whoever does it is no earlier run.
    if drift := seen.drift or (seen.displaced if progress.was_put_back else ""):
        yield Cause.DRIFT, policies.on_drift, drift
    if now >= late_at(plan, progress):
        yield Cause.DEADLINE, Reaction.ROLL_BACK, _lateness(policies, progress)
    yield from silence.troubles(plan, progress.step, seen, now)


def _lateness(policies: Policies, progress: Progress) -> str:
    if progress.held_since is not None:
        return f"the fleet did not clear the rollout within {spoken(policies.clearance_deadline)}"
    held = progress.held_for
    beside = (
        f", beside {spoken(held)} for which the fleet held it" if held >= _WORTH_TELLING else ""
    )
    return f"the rollout did not end within {spoken(policies.deadline)}{beside}"


def _asked_to_go_on(plan: Plan, progress: Progress) -> Advance | None:
    """What a person asked for; None where it is on the way already."""
    command, step = progress.promote, progress.step
    if command is None:
        return None
    to, what = {
        Scope.FULL: (plan.promotion_from(step), "promoted"),
        Scope.STEP: (plan.promotion_by_one_from(step), "promoted by one step"),
        Scope.SKIP: (step + 1, "skipped"),
    }[command.scope]
    chosen = trial_decision.chosen_by(plan, progress.traffic_in(plan), command)
    if to is None or chosen is None:
        return None
    return Advance(to=to, reason=_said(command, what), chosen=chosen)


def _while_paused(plan: Plan, progress: Progress, paused: Paused) -> Decision:
    """A pause keeps the weight; it must not keep the gates from watching what has that weight."""
    step, later = plan.steps[progress.step], plan.steps[progress.step + 1 :]
    settled = isinstance(step, SetWeights) and progress.acted.state is ActState.DONE
    if settled and later and isinstance(later[0], Soak):
        return _next(plan, progress.step, progress.acted.detail or f"done: {step}")
    return Hold(reason=f"paused: {paused.reason}", until=late_at(plan, progress))


def _way_on(plan: Plan, progress: Progress, now: datetime) -> Decision:
    step = plan.steps[progress.step]
    if progress.seen.stable_not_ready:  # no way back there now, and nothing to compare with
        reason = f"stable is being brought up again: {progress.seen.stable_not_ready}"
        return Hold(reason=reason, until=late_at(plan, progress))
    if isinstance(step, Soak):
        return _soaked(plan, step, progress, now)
    if progress.acted.state is ActState.DONE:
        return _next(plan, progress.step, progress.acted.detail or f"done: {step}")
    return Hold(reason=progress.acted.detail, until=late_at(plan, progress))


def _soaked(plan: Plan, soak: Soak, progress: Progress, now: datetime) -> Decision:
    earliest, latest = progress.acted.at + soak.at_least, progress.acted.at + soak.at_most
    deadline = late_at(plan, progress)
    if soak.until is Until.DECIDED:
        return _decided(plan, soak, progress, now)
    if now < earliest:
        return Hold(reason=f"soaking at {soak.weight} %", until=min(earliest, deadline))
    is_earned, reason = _earned(plan, soak, progress, now)
    if is_earned:
        return _next(plan, progress.step, reason)
    if now < latest:
        return Hold(reason=reason, until=min(latest, deadline))
    return _undecided(plan, soak, progress, reason)


def _decided(plan: Plan, soak: Soak, progress: Progress, now: datetime) -> Decision:
    """What a trial comes to; before its shortest time is over only its weights may change."""
    earliest, latest = progress.acted.at + soak.at_least, progress.acted.at + soak.at_most
    is_early = now < earliest
    found = "comparing the arms" if is_early else trial_decision.ended(plan, progress)
    if isinstance(found, Advance):
        return found
    if now >= latest:
        return _undecided(plan, soak, progress, found)
    if (anew := trial_decision.divided_anew(plan, progress)) is not None:
        return anew
    until = earliest if is_early else latest
    return Hold(reason=found, until=min(until, late_at(plan, progress)))


def _earned(plan: Plan, soak: Soak, progress: Progress, now: datetime) -> tuple[bool, str]:
    """Whether what the soak waits for is there; why it is, or what is missing."""
    match soak.until:
        case Until.PROVEN | Until.ELAPSED if not plan.verdicts_at(progress.step):
            is_over = now >= progress.acted.at + soak.at_most
            done, waiting = f"soaked for {spoken(soak.at_most)}", f"soaking at {soak.weight} %"
            return is_over, done if is_over else waiting
        case Until.PROVEN:
            return _proven(plan, progress)
        case Until.ELAPSED:
            silent = _silence(plan, progress)
            return not silent, silent or f"stayed for {spoken(soak.at_least)}"
        case Until.PROMOTED | Until.APPROVED | Until.CONFIRMED:
            said = _said_yes(progress)
            return bool(said), said or f"waiting until {soak.awaited}"
        case Until.DECIDED:
            raise AssertionError("a trial is decided elsewhere")


def _said_yes(progress: Progress) -> str:
    """What a person or a hook has said to let the rollout go on, if it has.

    A promotion that somebody waits for is a step on; it is looked at before.
    """
    if progress.approved is not None:
        return _said(progress.approved, "approved")
    return progress.confirmed


def _proven(plan: Plan, progress: Progress) -> tuple[bool, str]:
    verdicts = plan.deciding(progress.seen.verdicts)
    pending = next((v for v in verdicts if v.status is not Status.PASS), None)
    if pending is not None:
        return False, pending.reason
    if len(verdicts) < plan.verdicts_at(progress.step):
        return False, "waiting for the first evidence"
    return True, "; ".join(v.reason for v in verdicts)


def _silence(plan: Plan, progress: Progress) -> str:
    """Why the metrics say nothing; nothing where they say something."""
    verdicts = plan.deciding(progress.seen.verdicts)
    silent = (v.reason for v in verdicts if v.status is Status.UNAVAILABLE)
    if len(verdicts) < plan.verdicts_at(progress.step):
        return "waiting for the first look at the metrics"
    is_away = progress.seen.unavailable_since is not None
    if is_away and plan.needs_counts_at(progress.step):  # a trial may do without gates
        return "the metrics are unavailable"
    return next(silent, "")


def _undecided(plan: Plan, soak: Soak, progress: Progress, reason: str) -> Decision:
    """At the end of a soak that has not earned it. A store that is away is no lack of evidence."""
    reaction = soak.at_the_end or plan.policies.on_undecided
    match Reaction.HOLD if _silence(plan, progress) else reaction:
        case Reaction.ADVANCE if soak.until is Until.DECIDED and plan.conclude_step is not None:
            return Advance(to=plan.conclude_step, reason=f"undecided at the end: {reason}")
        case Reaction.ADVANCE:
            return _next(plan, progress.step, f"undecided, advanced by policy: {reason}")
        case Reaction.ROLL_BACK:
            return RollBack(cause=Cause.UNDECIDED, reason=f"undecided at the end: {reason}")
        case Reaction.PAUSE:
            return Pause(cause=Cause.UNDECIDED, reason=f"undecided at the end: {reason}")
        case Reaction.HOLD:
            return Hold(reason=reason, until=late_at(plan, progress))


def _next(plan: Plan, step: int, reason: str) -> Decision:
    if step + 1 < len(plan.steps) and not isinstance(plan.steps[step], Retire):
        return Advance(to=step + 1, reason=reason)
    return Finish(reason=reason)


def _said(command: Command, what: str) -> str:
    because = f": {command.reason}" if command.reason else ""
    return f"{what} by {command.actor}{because}"
