"""How a rollout ends: traffic home to stable, or onward to the promoted candidate, then tidy up."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.fleet import FleetActivities
from domain.hooks import HookKind
from domain.plan import Plan, Variant
from domain.progress import ActState, Cause, RollBack
from domain.rollout import EventKind, Phase
from domain.steps import Conclude, SetWeights
from domain.traffic import FULL
from workflows.acts import HOME, Acts, root
from workflows.chronicle import Chronicle
from workflows.standing import Standing
from workflows.timeouts import RECORD


class Homecoming:
    """Runs unbroken: nothing that arrives meanwhile cuts it short."""

    def __init__(self, standing: Standing, acts: Acts, chronicle: Chronicle) -> None:
        self._standing, self._acts, self._chronicle = standing, acts, chronicle

    @property
    def _plan(self) -> Plan:
        return self._standing.plan

    async def roll_back(self, decision: RollBack) -> None:
        """Traffic first, at once; everything else after it."""
        standing, plan = self._standing, self._plan
        standing.going_home_since = workflow.now()
        standing.enter(Phase.ROLLING_BACK, EventKind.ROLLBACK_STARTED, decision.reason)
        standing.announce(HookKind.ROLLBACK)
        had = await self._acts.go_home(standing.waiting)
        standing.is_home = True
        standing.in_force = HOME
        standing.tell(
            EventKind.WEIGHTS_SET,
            f"all traffic is sent to {plan.stable.name}",
            weights=standing.weights(HOME),
        )
        await self._see_home(had)
        await workflow.sleep(plan.policies.drain)
        await self._clean_up(plan.challengers, plan.stable)
        self._tell_left(plan.others, HOME)
        standing.enter(
            Phase.ROLLED_BACK,
            EventKind.ROLLED_BACK,
            decision.reason,
            left=plan.candidate,
            weights=standing.weights(HOME),
            data={"cause": decision.cause},
        )

    async def make_stable(self) -> None:
        """Record the promotion. From here on there is no way back, only onward."""
        candidate = self._plan.candidate
        message = f"{candidate.version_name} is stable now"
        self._standing.enter(Phase.PROMOTING, EventKind.PROMOTED, message, promoted=candidate)
        await self._chronicle.flush()
        if self._plan.group is not None:  # whoever waits need not wait for the retirement
            await workflow.execute_activity_method(
                FleetActivities.leave,
                self._standing.rollout_id,
                summary=f"leave {self._plan.group}",
                **RECORD,
            )

    async def retire_former(self, delay: timedelta) -> None:
        await workflow.sleep(max(delay, self._plan.policies.drain))
        plan = self._plan
        leaving = (plan.stable, *plan.others)
        await self._clean_up(leaving, plan.candidate)
        self._tell_left(leaving, SetWeights(candidate=FULL))

    async def let_go(self) -> str:
        """Take the candidate away, which was never to stay; what had come of it."""
        standing, plan = self._standing, self._plan
        had = await self._acts.go_home(standing.waiting)
        await self._see_home(had)
        await workflow.sleep(plan.policies.drain)
        await self._clean_up(plan.challengers, plan.stable)
        self._tell_left(plan.challengers, HOME)
        return standing.because

    def _tell_left(self, leaving: Sequence[Variant], traffic: SetWeights) -> None:
        for one in leaving:
            message, weights = f"{one.version_name} is gone", self._standing.weights(traffic)
            self._standing.tell(EventKind.RETIRED, message, left=one, weights=weights)

    def finish(self, reason: str) -> None:
        standing = self._standing
        if isinstance(standing.now_at, Conclude):
            standing.enter(Phase.CONCLUDED, EventKind.CONCLUDED, reason, step=standing.step)
        else:
            standing.step = self._plan.retire_step
            standing.enter(Phase.PROMOTED, EventKind.COMPLETED, reason, step=standing.step)

    async def recover(self, reason: str, *, promoted: bool) -> None:
        """Take over from a run that was cut off: onward if it had promoted, else home."""
        self._standing.tell(EventKind.RECOVERED, reason, run_id=workflow.info().run_id)
        if promoted:
            await self._go_onward(reason)
        else:
            self._acts.have_had_all()
            await self.roll_back(RollBack(cause=Cause.TERMINATED, reason=reason))

    async def end_badly(self, error: BaseException) -> None:
        """A cancellation or a failure: home before the promotion, onward after it."""
        cancelled = is_cancelled_exception(error)
        reason = "the workflow was cancelled" if cancelled else root(error)
        match self._standing.phase:
            case Phase.PROMOTED | Phase.ROLLED_BACK | Phase.CONCLUDED | Phase.FAILED:
                return
            case Phase.PROMOTING:
                await self._go_onward(reason)
            case Phase.ROLLING_BACK:
                self._standing.enter(Phase.FAILED, EventKind.FAILED, reason)
            case _:
                cause = Cause.CANCELLED if cancelled else Cause.ERROR
                await self.roll_back(RollBack(cause=cause, reason=reason))

    async def _go_onward(self, reason: str) -> None:
        self._standing.phase = Phase.PROMOTING
        await self._acts.go_full(self._standing.waiting)
        if workflow.patched("retire-once-recorded"):  # the registry must not name who is gone
            await self._chronicle.flush()
        await self.retire_former(timedelta(0))
        self.finish(reason)

    async def _see_home(self, had: SetWeights) -> None:
        try:
            acted = await self._acts.see_home(had)
            seen, detail = acted.state is ActState.DONE, acted.detail
        except ActivityError as error:
            seen, detail = False, root(error)
        if seen:
            self._standing.tell(EventKind.SETTLED, detail)
        else:
            self._standing.tell(EventKind.FAILED, f"the way back was not seen: {detail}")

    async def _clean_up(self, leaving: Sequence[Variant], staying: Variant) -> None:
        """Remove what carries no traffic. What cannot be removed is named, and holds up nothing."""
        try:
            await self._acts.remove(leaving, staying)
        except ActivityError as error:
            names = ", ".join(one.workload.name for one in leaving)
            note = f"{names} could not be removed: {root(error)}"
            self._standing.tell(EventKind.FAILED, note)
