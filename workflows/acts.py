"""What a rollout does to the cluster, one method a move. Absolute orders, safe to give twice."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    is_cancelled_exception,
)
from temporalio.workflow import ActivityCancellationType

from activities.traffic import ConnectOrder, SettleOrder, ShiftOrder, TrafficActivities
from activities.workload import ReadyOrder, ScaleOrder, WorkloadActivities
from domain.decision import Acted, ActState
from domain.errors import FencedOut
from domain.gates import Source
from domain.plan import Plan, Variant
from domain.settling import Due
from domain.spans import spoken
from domain.steps import SetWeights
from domain.traffic import FULL, NO_EXTRAS, Extras, Ownership, Slots
from domain.workloads import Workload
from workflows.timeouts import (
    INSIST_AGAIN_AFTER,
    ROLLBACK_SETTLES_WITHIN,
    WAY_HOME,
    WRITE,
    Options,
    look,
)
from workflows.waiting import heeding


class Acts:
    """The hands of one rollout. What was last ordered: the candidate's `weight`, its `copies`."""

    def __init__(self, rollout_id: UUID, plan: Plan) -> None:
        self._rollout_id = rollout_id
        self._plan = plan
        self._writes = 0
        self._written: Slots = ()
        self.weight = self.copies = 0

    async def deploy(self) -> Acted:
        """Bring the candidate up: ready, connected, referenced at weight 0, and known."""
        plan, workload = self._plan, self._plan.candidate.workload
        await bring_up(workload, plan.policies.deploy_deadline)
        await heeding(
            workflow.execute_activity_method(
                TrafficActivities.connect,
                ConnectOrder(route=plan.route, workload=workload),
                summary=f"connect {workload.name} to the gateway",
                **WRITE,
            )
        )
        await self._shift(plan.slots_at(0), (plan.stable.workload,), WRITE)
        within = plan.policies.settle_deadline
        return await self._settle(plan.slots_at(0), 0, Due(weight=0), within)

    async def set_weights(self, traffic: SetWeights, *, insist: bool = False) -> Acted:
        """Have the traffic be so, and see it obey."""
        # Before the write: one that is given up may have been written.
        before = Due(weight=self.weight, copies=self.copies)
        self.weight, self.copies = traffic.candidate, traffic.mirror
        await self._shift(
            self._plan.slots_at(traffic.candidate),
            self._bearing(traffic),
            WRITE,
            insist=insist,
            extras=self._plan.extras_of(traffic),
        )
        return await self.settle(traffic, before)

    async def settle(
        self, traffic: SetWeights, before: Due | None = None, patience: timedelta = timedelta(0)
    ) -> Acted:
        """See the traffic obey, within the policy's deadline or `patience`, whichever is longer.

        `before`: what was in force; None where nothing else is known to have been.
        """
        weight, within = traffic.candidate, max(self._plan.policies.settle_deadline, patience)
        slots, extras = self._plan.slots_at(weight), self._plan.extras_of(traffic)
        before = before or Due(weight=weight, copies=traffic.mirror)
        return await self._settle(slots, weight, before, within, extras)

    async def scale(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate."""
        workload = self._plan.candidate.workload
        await heeding(
            workflow.execute_activity_method(
                WorkloadActivities.scale,
                ScaleOrder(workload=workload, replicas=replicas),
                summary=f"scale {workload.name} to {replicas}",
                **WRITE,
            )
        )
        return Acted(state=ActState.DONE, at=workflow.now(), detail=f"scaled to {replicas}")

    def have_had_all(self) -> None:
        """Take for ordered all that may have been: whatever it was, it must be seen to be gone."""
        self.weight = FULL
        written = (step for step in self._plan.steps if isinstance(step, SetWeights))
        self.copies = max((traffic.mirror for traffic in written), default=0)

    async def go_home(self, say: Callable[[str], None]) -> Due:
        """All traffic to stable, at once and for ever tried again; what the candidate had of it."""
        await self._insist(self._plan.slots_at(0), self._plan.stable, self._plan.candidate, say)
        had = Due(weight=self.weight, copies=self.copies)
        self.weight = self.copies = 0
        return had

    async def go_full(self, say: Callable[[str], None]) -> None:
        """All traffic to the candidate that was promoted already; as insistent as the way home."""
        await self._insist(self._plan.slots_at(FULL), self._plan.candidate, self._plan.stable, say)
        self.weight = FULL

    async def see_home(self, had: Due) -> Acted:
        """See the traffic at stable, and no copies of it; waits, but not for ever."""
        if had.weight or (had.copies and workflow.patched("see-the-copies-end")):
            return await self._settle(self._written, 0, had, ROLLBACK_SETTLES_WITHIN)
        return Acted(state=ActState.DONE, at=workflow.now(), detail="it never carried traffic")

    async def _insist(
        self, slots: Slots, bearer: Variant, other: Variant, say: Callable[[str], None]
    ) -> None:
        """Write until it is written. Only a newer owner of the route makes us leave it alone."""
        since = workflow.now()
        while True:
            try:
                return await self._shift(
                    slots,
                    (bearer.workload,),
                    WAY_HOME,
                    insist=True,
                    without=(other.workload.name, self._plan.slots_of(bearer)),
                )
            except ActivityError as error:
                if is_cancelled_exception(error) or failure_type(error) == FencedOut.__name__:
                    raise
                age = workflow.now() - since
                say(f"for {spoken(age)} the way back has been refused: {root(error)}")
                await workflow.sleep(INSIST_AGAIN_AFTER)

    async def remove(self, leaving: Variant, staying: Variant) -> None:
        """Take a variant without weight off the route and off the cluster, in that order."""
        plan, workload = self._plan, leaving.workload
        await self._shift(plan.slots_of(staying), (staying.workload,), WRITE, insist=True)
        await workflow.execute_activity_method(
            TrafficActivities.disconnect,
            ConnectOrder(route=plan.route, workload=workload),
            summary=f"disconnect {workload.name}",
            **WRITE,
        )
        await workflow.execute_activity_method(
            WorkloadActivities.remove, workload, summary=f"remove {workload.name}", **WRITE
        )

    def _bearing(self, traffic: SetWeights) -> tuple[Workload, ...]:
        """Who will get requests, copies and those of testers included."""
        stable = (self._plan.stable.workload,) if traffic.candidate < FULL else ()
        gets_some = traffic.candidate or traffic.mirror or traffic.preview
        return (*stable, self._plan.candidate.workload) if gets_some else stable

    async def _shift(
        self,
        slots: Slots,
        bearing: tuple[Workload, ...],
        options: Options,
        *,
        insist: bool = False,
        without: tuple[str, Slots] | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> None:
        self._writes += 1
        owner = Ownership(
            holder=str(self._rollout_id),
            ordered_at=workflow.now(),
            run_id=workflow.info().run_id,
            sequence=self._writes,
        )
        absent, slots_without = without or ("", None)
        order = ShiftOrder(
            route=self._plan.route,
            slots=slots,
            owner=owner,
            bearing=bearing,
            insist=insist,
            if_absent=absent,
            slots_without=slots_without,
            extras=extras,
        )
        summary = " · ".join(f"{slot.workload} {slot.weight} %" for slot in slots)
        self._written = await heeding(
            workflow.execute_activity_method(
                TrafficActivities.shift, order, summary=summary, **options
            )
        )

    async def _settle(
        self,
        slots: Slots,
        weight: int,
        before: Due,
        within: timedelta,
        extras: Extras = NO_EXTRAS,
    ) -> Acted:
        plan = self._plan
        return await workflow.execute_activity_method(
            TrafficActivities.settle,
            SettleOrder(
                route=plan.route,
                slots=slots,
                source=plan.gates[0].source if plan.gates else Source.ENVOY,
                candidate_slot=plan.candidate.slot,
                stable_slot=plan.stable.slot,
                weight=weight,
                previous=before.weight,
                probe_interval=plan.policies.probe_interval,
                deadline=workflow.now() + within,
                extras=extras,
                mirrored_before=before.copies,
            ),
            summary=f"see {weight} % at the candidate",
            **look(),
        )


def root(error: BaseException) -> str:
    """The message at the bottom of a chain of failures: the one that says what happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error.message if isinstance(error, FailureError) else str(error)


def failure_type(error: BaseException) -> str | None:
    """The class name of the domain error that an activity, or the last of its tries, ended with."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return cause.type
        cause = cause.__cause__
    return None


def _look_that_may_deploy() -> Options:
    """A look that brings up what it misses must end before anybody removes what it brought up."""
    if not workflow.patched("see-the-look-end"):
        return look()
    waits = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return Options(**{**look(), "cancellation_type": waits})


async def bring_up(workload: Workload, within: timedelta) -> None:
    """Deploy a workload and wait until it is ready."""
    await heeding(
        workflow.execute_activity_method(
            WorkloadActivities.deploy, workload, summary=f"deploy {workload.name}", **WRITE
        )
    )
    await heeding(
        workflow.execute_activity_method(
            WorkloadActivities.await_ready,
            ReadyOrder(workload=workload, deadline=workflow.now() + within),
            summary=f"wait until {workload.name} is ready",
            **_look_that_may_deploy(),
        )
    )
