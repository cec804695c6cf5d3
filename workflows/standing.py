"""Where a rollout stands, and everybody who is told: the registry, the Temporal UI, searches."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from temporalio import workflow

from domain.decision import late_at
from domain.errors import Conflict
from domain.hooks import Hook, HookKind
from domain.notices import Situation
from domain.progress import Acted, ActState, Cause, Paused, Progress, Reallocate, Seen
from domain.requests import Taken, require_fit, taken
from domain.rollout import Action, Command, EventKind, Phase, Scope
from domain.silence import stale_after
from domain.steps import SetWeights, Soak, Step
from domain.story import details
from domain.trial_decision import chosen_by
from workflows.chronicle import Chronicle
from workflows.hooks import Hooks
from workflows.messages import RolloutInput, RolloutView
from workflows.search import PHASE, WEIGHT
from workflows.timeouts import report_after
from workflows.waiting import first


class Standing:
    """The state of one rollout. `news` grows with each command, so that waits can wake."""

    def __init__(self, order: RolloutInput, chronicle: Chronicle) -> None:
        self.rollout_id, self.plan = order.rollout_id, order.plan
        self._chronicle = chronicle
        self.hooks = Hooks(
            order.plan.hooks,
            rollout_id=order.rollout_id,
            route=order.plan.route,
            given_up=self._hook_failed,
        )
        self.phase, self.reason = Phase.PROGRESSING, order.reason
        self.started_at = workflow.now()
        self.step = 0
        self.step_since = workflow.now()
        self.in_force = SetWeights(candidate=0)
        self.traffic: SetWeights | None = None
        self.division = 0
        self.acted = Acted(state=ActState.DONE, at=workflow.now())
        self.seen = Seen()
        self.paused: Paused | None = None
        self.abort: Command | None = None
        self.promote: Command | None = None
        self.rejected: Command | None = None
        self.approved: Command | None = None
        self.confirmed = ""
        self.asking: int | None = None
        self.cleared: int | None = None
        self.held_for = timedelta(0)
        self.held_since: datetime | None = None
        self.because = ""
        self._taken: set[Taken] = set()
        self.must_put_back = self.was_put_back = False
        self.put_backs = 0
        self.looked_away = False
        self.is_home = False
        self.going_home_since: datetime | None = None
        self.news = 0

    @property
    def now_at(self) -> Step:
        return self.plan.steps[self.step]

    @property
    def weight(self) -> int:
        """What the challengers were last seen to get."""
        return self.in_force.candidate

    @property
    def may_turn_back(self) -> bool:
        return self.phase in {Phase.PROGRESSING, Phase.PAUSED}

    @property
    def is_late(self) -> bool:
        return workflow.now() >= self.late_at

    @property
    def late_at(self) -> datetime:
        """When it is late, as things stand: the fleet moves that moment."""
        return late_at(self.plan, self.progress())

    async def keep_time(self) -> None:
        """Wake every wait when the rollout is late; run as a task.

        One timer for the whole walk, and another one where the moment has come nearer, or was put
        off by the time that the timer went off.
        """
        while not self.is_late:
            await self._until_late_or_before(self.late_at)
        self.news += 1

    async def _until_late_or_before(self, at: datetime) -> None:
        await first(lambda: self.late_at < at, at - workflow.now())

    def ask_the_fleet(self, to: int | None) -> None:
        """Take down for which step the fleet is asked from now on; None: for none."""
        self.asking, self.cleared = to, None
        self.hold(to is not None)

    def hold(self, is_held: bool) -> None:
        """Take down whether the fleet holds the rollout: that time is not the rollout's own."""
        if self.held_since is not None:
            self.held_for += workflow.now() - self.held_since
        is_held = is_held and workflow.patched("held-time-does-not-count")
        self.held_since = workflow.now() if is_held else None

    @property
    def report_after(self) -> timedelta:
        """How long a look that begins now may stay silent."""
        now = workflow.now()
        history_bytes = workflow.info().get_current_history_size()
        return report_after(now - self.step_since, now - self.started_at, history_bytes)

    @property
    def is_urgent(self) -> bool:
        """An abort and the deadline always; a promotion where only a settle is in its way."""
        if self.promote is not None and isinstance(self.now_at, SetWeights):
            return True
        return self.abort is not None or self.is_late

    @property
    def must_look_again(self) -> bool:
        """Whether only what was seen some time ago lets a step end.

        That is before the watch was cut off, before the traffic of a trial was divided anew, or
        before the workers that walk were away.
        """
        if self.promote or self.approved or self.confirmed or not self.plan.is_judged_at(self.step):
            return False
        return self.looked_away or self._is_seen_long_ago

    @property
    def _is_seen_long_ago(self) -> bool:
        """Workers that were away for so long do not know what has come of it since."""
        stale = stale_after(self.plan.policies.probe_interval)
        is_old = self.seen.at is not None and workflow.now() > self.seen.at + stale
        return is_old and workflow.patched("look-again-after-long")

    def progress(self) -> Progress:
        return Progress(
            step=self.step,
            started_at=self.started_at,
            acted=self.acted,
            seen=self.seen,
            paused=self.paused,
            abort=self.abort,
            promote=self.promote,
            was_put_back=self.was_put_back,
            rejected=self.rejected,
            approved=self.approved,
            confirmed=self.confirmed,
            asking=self.asking,
            cleared=self.cleared,
            traffic=self.traffic,
            division=self.division,
            held_for=self.held_for,
            held_since=self.held_since,
            put_backs=self.put_backs,
        )

    def view(self) -> RolloutView:
        return RolloutView(
            phase=self.phase,
            reason=self.reason,
            step=self.step,
            candidate_weight=self.weight,
            weights=self.weights(self.in_force),
            verdicts=self.seen.verdicts,
            trial=self.seen.trial,
            rollback_since=self.going_home_since,
        )

    def refusal(self) -> str:
        """Why no command is taken any more; nothing while they are."""
        if self.may_turn_back:
            return ""
        if self.phase is Phase.PROMOTING:
            return f"{self.plan.candidate.version_name} is promoted already"
        return f"the rollout is {self.phase.replace('_', ' ')}: {self.reason}"

    def require_fit(self, action: Action, command: Command) -> None:
        """Raise Conflict or Forbidden for a command that does not fit; a repeat always fits."""
        if refusal := self.refusal():
            raise Conflict(refusal)
        if taken(action, command) not in self._taken:
            left = self.progress().traffic_in(self.plan).left
            require_fit(self.plan, self.step, action, command, left)

    def take(self, action: Action, command: Command) -> None:
        """Take a command down; the walk acts on it. Asked twice, it is one command."""
        known = taken(action, command)
        if known in self._taken:
            return
        if known is not None:
            self._taken.add(known)
        said = f"{action} by {command.actor}" + (f": {command.reason}" if command.reason else "")
        self.tell(EventKind.COMMANDED, said, data={"actor": command.actor, "action": action})
        match action:
            case Action.PAUSE if self.paused is None:
                self.pause(Cause.COMMAND, said)
            case Action.RESUME:
                self._resume(said)
            case _:
                self._heed(action, command)
        self.news += 1

    def _heed(self, action: Action, command: Command) -> None:
        """Have the walk find what was asked for."""
        match action:
            case Action.ABORT:
                self.abort = self.abort or command
            case Action.PROMOTE if self.plan.promotion_from(self.step) is not None:
                self.promote = command
            case Action.SKIP:
                self.promote = replace(command, scope=Scope.SKIP)
            case Action.APPROVE:
                self.approved = command
            case Action.REJECT:
                self.rejected = command
            case Action.PROMOTE | Action.PAUSE | Action.RESUME:
                return  # on its way already
            case _:
                assert_never(action)

    def _resume(self, said: str) -> None:
        if self.paused is not None:
            is_undone = self.acted.state in {ActState.DRIFTED, ActState.NOT_READY}
            is_moved = bool(self.seen.drift or self.seen.displaced)
            is_divided = self.traffic is not None and self.acted.state is ActState.DISOBEYED
            self.must_put_back = is_undone or is_moved or is_divided or self.settles_again
            self.paused = None
            self.enter(Phase.PROGRESSING, EventKind.RESUMED, said)

    @property
    def settles_again(self) -> bool:
        """Whether a soak's traffic, put back or divided anew, has not been seen to obey so far."""
        is_disobeyed = self.acted.state is ActState.DISOBEYED
        return is_disobeyed and isinstance(self.now_at, Soak) and workflow.patched("settle-again")

    def displaced(self, reason: str) -> None:
        """Take down that the weights of another step of ours are in force, to be put back."""
        self.must_put_back = self.was_put_back = True
        self.tell(EventKind.DRIFTED, f"{reason}; to be put back")

    def pause(self, cause: Cause, reason: str) -> None:
        self.paused = Paused(cause=cause, reason=reason, since=workflow.now())
        self.enter(Phase.PAUSED, EventKind.PAUSED, reason, data={"cause": cause})

    def deployed(self) -> None:
        """Take down that all have joined, with the weights: an earlier run had others."""
        weights = self.weights(SetWeights(candidate=0))
        for joined in self.plan.challengers:
            who = "the candidate" if self.plan.trial is None else joined.name
            self.tell(EventKind.DEPLOYED, f"{who} is ready", joined=joined, weights=weights)

    def settled(self, acted: Acted, traffic: SetWeights) -> Acted:
        """Take down how a traffic settled; the registry learns it as it was written and seen."""
        done, before, weights = acted.state is ActState.DONE, self.in_force, self.weights(traffic)
        if done or weights != self.weights(before) or self.acted.detail != acted.detail:
            kind = EventKind.SETTLED if done else EventKind.WEIGHTS_SET
            self.tell(kind, acted.detail, weights=weights)
        if traffic.candidate != before.candidate:
            workflow.upsert_search_attributes([WEIGHT.value_set(traffic.candidate)])
        self.in_force = traffic
        return acted

    def divided(self, decision: Reallocate) -> None:
        """Take down how a trial's traffic is to be from now on."""
        self.traffic, self.division = decision.traffic, self.division + 1
        data = {"leaving": decision.leaving} if decision.leaving else {}
        self.tell(EventKind.DIVIDED, decision.reason, step=self.step, data=data)
        said = self.promote
        if said is not None and chosen_by(self.plan, decision.traffic, said) is None:
            self.promote = None
            note = f"promote by {said.actor} came to nothing: who was meant has left the trial"
            self.tell(EventKind.COMMANDED, note)

    def look_afresh(self) -> None:
        """Keep how a trial stands: all else is to be seen again, under the weights of now."""
        self.seen, self.looked_away = Seen(trial=self.seen.trial), True

    def choose(self, name: str) -> None:
        """Make one of several challengers the candidate; its traffic stays as it is."""
        self.traffic = self.progress().traffic_in(self.plan)
        self.plan = self.plan.choosing(name)

    def scaled(self, acted: Acted) -> Acted:
        """Take down who has changed the scale, where somebody has."""
        if acted.state is ActState.DRIFTED:
            self.tell(EventKind.DRIFTED, acted.detail)
        return acted

    def leave_step(self, step: int, reason: str) -> None:
        self.tell(EventKind.DECIDED, f"advance to step {step + 1}: {reason}", step=step)
        if self.promote is not None and self.paused is not None:
            self.paused = None
            self.enter(Phase.PROGRESSING, EventKind.RESUMED, reason)
        self.promote = self.approved = None
        self.confirmed = ""
        self.ask_the_fleet(None)
        self.because = reason
        self.step, self.step_since = step, workflow.now()
        self.was_put_back = self.looked_away = False

    def enter(self, phase: Phase, kind: EventKind, message: str, **changes: Any) -> None:
        """Change the phase, for all to see."""
        changed, self.phase, self.reason = phase is not self.phase, phase, message
        self.tell(kind, message, phase=phase, **changes)
        if changed or kind is EventKind.STARTED:
            workflow.upsert_search_attributes([PHASE.value_set(phase)])

    def waiting(self, reason: str) -> None:
        """Say what is being waited for; shown, not recorded."""
        self.reason = reason
        self._show()

    def tell(self, kind: EventKind, message: str, **changes: Any) -> None:
        """Add a line to the history; `changes` are further fields of Entry."""
        entry = self._chronicle.tell(kind, message, **changes)
        self.hooks.happened(entry, self.situation)
        self._show()

    @property
    def situation(self) -> Situation:
        """Where it stands, for hooks."""
        return Situation(phase=self.phase, step=self.step, weights=self.weights(self.in_force))

    def announce(self, kind: HookKind) -> None:
        """Have the hooks of this kind told, in the background."""
        self.hooks.announce(kind, self.reason, self.situation)

    async def ask(self, hook: Hook) -> None:
        """Ask a hook until it says yes, and wake the walk when it does."""
        confirmation = await self.hooks.confirm(hook, self.because or self.reason, self.situation)
        if confirmation.said:
            self.confirmed = confirmation.detail
        else:
            self._hook_failed(hook, f"{hook.name} has not said yes: {confirmation.detail}")
        self.news += 1

    def _hook_failed(self, _: Hook, why: str) -> None:
        """Noted, and told to no hook in turn."""
        self._chronicle.tell(EventKind.HOOK_FAILED, why, step=self.step)
        self._show()

    def weights(self, traffic: SetWeights) -> dict[str, int]:
        """The weights of all variants under a traffic."""
        return self.plan.weights_under(traffic)

    def _show(self) -> None:
        workflow.set_current_details(
            details(
                self.plan,
                phase=self.phase,
                reason=self.reason,
                step=self.step,
                weights=self.weights(self.in_force),
                verdicts=self.seen.verdicts,
                trial=self.seen.trial,
            )
        )
