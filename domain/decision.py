"""What comes next: a pure function of the plan, the progress so far and the time.

The order of the rules is the policy: what takes traffic away from the candidate is looked at first
and waits for nothing; what gives it more is looked at last.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.plan import Plan, Promote, Reaction, SetWeights, Soak
from domain.rollout import Command, Scope
from domain.spans import spoken
from domain.verdicts import Status, Verdict


class Cause(StrEnum):
    """Why traffic went back to stable, or why a rollout paused."""

    GATE_FAILED = "gate_failed"
    ABORTED = "aborted"
    DEADLINE = "deadline"
    NOT_READY = "not_ready"
    NOT_SETTLED = "not_settled"
    DRIFT = "drift"
    UNDECIDED = "undecided"
    METRICS_UNAVAILABLE = "metrics_unavailable"
    CANCELLED = "cancelled"
    ERROR = "error"
    TERMINATED = "terminated"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Stay here. `until` is the next moment at which time alone changes the answer."""

    reason: str
    until: datetime
    kind: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    to: int
    reason: str
    kind: Literal["advance"] = "advance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    cause: Cause
    reason: str
    kind: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    cause: Cause
    reason: str
    kind: Literal["roll_back"] = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    reason: str
    kind: Literal["finish"] = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """Write the weights of this step again: they are those of another step of ours."""

    reason: str
    kind: Literal["put_back"] = "put_back"


Decision = Hold | Advance | Pause | RollBack | PutBack | Finish


class ActState(StrEnum):
    """How a step's action stands. SILENT: written, but no request has come by to show it."""

    DONE = "done"
    SILENT = "silent"
    DISOBEYED = "disobeyed"
    NOT_READY = "not_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    state: ActState
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    cause: Cause
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a watcher sees during a soak. Texts are empty where all is well.

    `drift` is somebody else's change, `displaced` one of our own: a run that was reset to an
    earlier step finds the weights of the step that it was in before.
    """

    verdicts: tuple[Verdict, ...] = ()
    unavailable_since: datetime | None = None
    candidate_not_ready: str = ""
    stable_not_ready: str = ""
    drift: str = ""
    displaced: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a walk is, and all that bears on what comes next.

    `was_put_back`: the weights of this step were written again already.
    """

    step: int
    started_at: datetime
    acted: Acted
    seen: Seen = Seen()
    paused: Paused | None = None
    abort: Command | None = None
    promote: Command | None = None
    was_put_back: bool = False


def decide(plan: Plan, progress: Progress, now: datetime) -> Decision:
    """Say what comes next. Calling it again with the same arguments says the same."""
    if _is_past_promotion(plan, progress.step):
        return _next(plan, progress.step, progress.acted.detail or "promoted")
    way_back = _way_back(plan, progress, now)
    if isinstance(way_back, RollBack):
        return way_back
    if progress.promote is not None and not _is_promoting(plan, progress):
        return _promotion(plan, progress.step, progress.promote)
    if progress.seen.displaced and not progress.was_put_back:
        return PutBack(reason=progress.seen.displaced)
    if progress.paused is not None:
        return _while_paused(plan, progress, progress.paused)
    return way_back or _way_on(plan, progress, now)


def _is_past_promotion(plan: Plan, step: int) -> bool:
    return any(isinstance(done, Promote) for done in plan.steps[: step + 1])


def _is_promoting(plan: Plan, progress: Progress) -> bool:
    return progress.step >= plan.full_step


def _deadline(plan: Plan, progress: Progress) -> datetime:
    return progress.started_at + plan.policies.deadline


def _way_back(plan: Plan, progress: Progress, now: datetime) -> RollBack | Pause | None:
    """The first thing that speaks against the candidate, most serious first."""
    if progress.abort is not None:
        return RollBack(cause=Cause.ABORTED, reason=_said(progress.abort, "aborted"))
    pauses: list[Pause] = []
    for cause, reaction, reason in _troubles(plan, progress, now):
        if reaction is Reaction.ROLL_BACK:
            return RollBack(cause=cause, reason=reason)
        if reaction is Reaction.PAUSE:
            pauses.append(Pause(cause=cause, reason=reason))
    return pauses[0] if pauses else None


def _troubles(
    plan: Plan, progress: Progress, now: datetime
) -> Iterable[tuple[Cause, Reaction, str]]:
    policies, seen, acted = plan.policies, progress.seen, progress.acted
    failed = [v for v in seen.verdicts if v.status is Status.FAIL]
    if failed:
        yield Cause.GATE_FAILED, policies.on_failure, failed[0].reason
    if acted.state is ActState.NOT_READY:
        yield Cause.NOT_READY, Reaction.ROLL_BACK, acted.detail
    if seen.candidate_not_ready:
        yield Cause.NOT_READY, policies.on_not_ready, seen.candidate_not_ready
    if acted.state is ActState.DISOBEYED:
        yield Cause.NOT_SETTLED, policies.on_not_settled, acted.detail
    # Put back once, the weights were displaced again: whoever does it is no earlier run.
    if drift := seen.drift or (seen.displaced if progress.was_put_back else ""):
        yield Cause.DRIFT, policies.on_drift, drift
    if now >= _deadline(plan, progress):
        reason = f"the rollout did not end within {spoken(policies.deadline)}"
        yield Cause.DEADLINE, Reaction.ROLL_BACK, reason
    if seen.unavailable_since and now >= seen.unavailable_since + policies.metrics_stall:
        away = now - seen.unavailable_since
        reason = f"the metrics have been unavailable for {spoken(away)}"
        yield Cause.METRICS_UNAVAILABLE, policies.on_metrics_unavailable, reason


def _promotion(plan: Plan, step: int, command: Command) -> Decision:
    if command.scope is Scope.FULL:
        return Advance(to=plan.full_step, reason=_said(command, "promoted"))
    later = (i for i in range(step + 1, len(plan.steps)) if isinstance(plan.steps[i], SetWeights))
    return Advance(to=next(later), reason=_said(command, "promoted by one step"))


def _while_paused(plan: Plan, progress: Progress, paused: Paused) -> Decision:
    """A pause keeps the weight; it must not keep the gates from watching what has that weight."""
    step, later = plan.steps[progress.step], plan.steps[progress.step + 1 :]
    settled = isinstance(step, SetWeights) and progress.acted.state is ActState.DONE
    if settled and later and isinstance(later[0], Soak):
        return _next(plan, progress.step, progress.acted.detail or f"done: {step}")
    return Hold(reason=f"paused: {paused.reason}", until=_deadline(plan, progress))


def _way_on(plan: Plan, progress: Progress, now: datetime) -> Decision:
    step = plan.steps[progress.step]
    if progress.seen.stable_not_ready:  # no way back there now, and nothing to compare with
        reason = f"stable is being brought up again: {progress.seen.stable_not_ready}"
        return Hold(reason=reason, until=_deadline(plan, progress))
    if isinstance(step, Soak):
        return _soaked(plan, step, progress, now)
    if progress.acted.state is ActState.DONE:
        return _next(plan, progress.step, progress.acted.detail or f"done: {step}")
    return Hold(reason=progress.acted.detail, until=_deadline(plan, progress))


def _soaked(plan: Plan, soak: Soak, progress: Progress, now: datetime) -> Decision:
    earliest, latest = progress.acted.at + soak.at_least, progress.acted.at + soak.at_most
    deadline = _deadline(plan, progress)
    if now < earliest:
        return Hold(reason=f"soaking at {soak.weight} %", until=min(earliest, deadline))
    if not plan.gates:
        if now >= latest:
            return _next(plan, progress.step, f"soaked for {spoken(soak.at_most)}")
        return Hold(reason=f"soaking at {soak.weight} %", until=min(latest, deadline))
    verdicts = progress.seen.verdicts
    if len(verdicts) == len(plan.gates) and all(v.status is Status.PASS for v in verdicts):
        return _next(plan, progress.step, "; ".join(v.reason for v in verdicts))
    pending = next((v for v in verdicts if v.status is not Status.PASS), None)
    reason = pending.reason if pending else "waiting for the first evidence"
    if now < latest:
        return Hold(reason=reason, until=min(latest, deadline))
    return _undecided(plan, progress, reason, deadline)


def _undecided(plan: Plan, progress: Progress, reason: str, deadline: datetime) -> Decision:
    """At the end of a soak without a verdict. A store that is away is no lack of evidence."""
    silent = any(v.status is Status.UNAVAILABLE for v in progress.seen.verdicts)
    reaction = Reaction.HOLD if silent else plan.policies.on_undecided
    match reaction:
        case Reaction.ADVANCE:
            return _next(plan, progress.step, f"undecided, advanced by policy: {reason}")
        case Reaction.ROLL_BACK:
            return RollBack(cause=Cause.UNDECIDED, reason=f"undecided at the end: {reason}")
        case Reaction.PAUSE:
            return Pause(cause=Cause.UNDECIDED, reason=f"undecided at the end: {reason}")
        case Reaction.HOLD:
            return Hold(reason=reason, until=deadline)


def _next(plan: Plan, step: int, reason: str) -> Decision:
    if step + 1 < len(plan.steps):
        return Advance(to=step + 1, reason=reason)
    return Finish(reason=reason)


def _said(command: Command, what: str) -> str:
    because = f": {command.reason}" if command.reason else ""
    return f"{what} by {command.actor}{because}"
