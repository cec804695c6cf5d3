"""Where a walk is, what was seen of it, and what may come next: the words of `decide()`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from domain.plan import Plan
from domain.rollout import Command
from domain.steps import SetWeights, Soak
from domain.trial_verdicts import TrialVerdict
from domain.verdicts import Verdict


class Cause(StrEnum):
    """Why traffic went back to stable, or why a rollout paused."""

    GATE_FAILED = "gate_failed"
    ABORTED = "aborted"
    REJECTED = "rejected"
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
    """Stay here. `until` is the next moment at which time alone changes the answer.

    `clears` is the step that would come next if the fleet let it.
    """

    reason: str
    until: datetime
    clears: int | None = None
    kind: Literal["hold"] = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Go on to a step; of several challengers the one `chosen` is the candidate from then on."""

    to: int
    reason: str
    chosen: str = ""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reallocate:
    """Divide the traffic of a trial in another way, and stay.

    `leaving` are the arms that are taken out for good.
    """

    traffic: SetWeights
    reason: str
    leaving: tuple[str, ...] = ()
    kind: Literal["reallocate"] = "reallocate"


Decision = Hold | Advance | Pause | RollBack | PutBack | Reallocate | Finish


class ActState(StrEnum):
    """How a step's action stands.

    SILENT: written, but no request has come by to show it. DRIFTED: written, and changed since by
    somebody else.
    """

    DONE = "done"
    SILENT = "silent"
    DISOBEYED = "disobeyed"
    NOT_READY = "not_ready"
    DRIFTED = "drifted"


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
    earlier step finds the weights of the step that it was in before. Of a trial: how it stands, the
    arms that are `unfit` to serve and why, and the weights that are due, of all arms.
    `silent_since`: when each gate that is UNAVAILABLE became so, by `Verdict.named`. `at`: when the
    last look ended, by the clock of the workflow engine.
    """

    verdicts: tuple[Verdict, ...] = ()
    unavailable_since: datetime | None = None
    candidate_not_ready: str = ""
    stable_not_ready: str = ""
    drift: str = ""
    displaced: str = ""
    trial: TrialVerdict | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)
    due: Mapping[str, int] | None = None
    silent_since: Mapping[str, datetime] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a walk is, and all that bears on what comes next.

    `was_put_back`: the weights of this step were written again already. `approved` and `confirmed`
    (what the hook said) are of this step, too. `asking` is the step for which the fleet is being
    asked, `cleared` the one that it lets come. `traffic` is that of a trial since it was divided
    anew, for the `division`-th time. Within steps the traffic was put back, or seen to obey after
    all, `put_backs` times. The fleet holds it since `held_since`, and held it for
    `held_for` in all the times that are over.
    """

    step: int
    started_at: datetime
    acted: Acted
    seen: Seen = Seen()
    paused: Paused | None = None
    abort: Command | None = None
    promote: Command | None = None
    was_put_back: bool = False
    rejected: Command | None = None
    approved: Command | None = None
    confirmed: str = ""
    asking: int | None = None
    cleared: int | None = None
    traffic: SetWeights | None = None
    division: int = 0
    held_for: timedelta = timedelta(0)
    held_since: datetime | None = None
    put_backs: int = 0

    def traffic_in(self, plan: Plan) -> SetWeights:
        """What the traffic is to be where the walk is."""
        return self.traffic or plan.traffic_at(self.step)

    def arms_in(self, plan: Plan) -> tuple[str, ...]:
        """The challengers that are compared at this step; none where there is no trial."""
        traffic = self.traffic_in(plan)
        if traffic.arms is None or not isinstance(plan.steps[self.step], Soak):
            return ()
        return plan.present_under(traffic)
