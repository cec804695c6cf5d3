"""What a rollout does to the cluster, one method a move. Absolute orders, safe to give twice."""

from collections.abc import Awaitable, Callable, Sequence
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

from activities.shares import SharesOrder
from activities.traffic import ConnectOrder, SettleOrder, ShiftOrder, TrafficActivities
from activities.workload import ReadyOrder, ReplicasOrder, ScaleOrder, WorkloadActivities
from domain.apportionment import apportion
from domain.errors import FencedOut
from domain.gates import Source
from domain.plan import Plan, Variant
from domain.progress import Acted, ActState
from domain.spans import spoken
from domain.steps import ArmShares, SetWeights
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

HOME = SetWeights(candidate=0)


class Acts:
    """The hands of one rollout. `_ordered` is the traffic as it was ordered last."""

    def __init__(self, rollout_id: UUID, plan: Plan) -> None:
        self._rollout_id = rollout_id
        self.plan = plan
        self._writes = 0
        self._written: Slots = ()
        self._ordered = HOME

    async def deploy(self) -> Acted:
        """Bring all challengers up: ready, connected, referenced at weight 0, and known."""
        plan = self.plan
        await bring_up(
            tuple(one.workload for one in plan.challengers),
            plan.policies.deploy_deadline,
            self._connect,
        )
        await self._shift(plan.slots_at(0), (plan.stable.workload,), WRITE)
        within = plan.policies.settle_deadline
        return await self._settle(plan.slots_at(0), HOME, HOME, within)

    async def _connect(self, workload: Workload) -> None:
        await heeding(
            workflow.execute_activity_method(
                TrafficActivities.connect,
                ConnectOrder(route=self.plan.route, workload=workload),
                summary=f"connect {workload.name} to the gateway",
                **WRITE,
            )
        )

    async def set_weights(self, traffic: SetWeights, *, insist: bool = False) -> Acted:
        """Have the traffic be so, and see it obey."""
        bearing = tuple(one.workload for one in self.plan.reached_under(traffic))
        return await self._have(traffic, bearing, insist=insist)

    async def take_out(self, traffic: SetWeights) -> Acted:
        """Have arms of a trial lose what they get to stable, whatever is the matter with others."""
        return await self._have(traffic, (self.plan.stable.workload,), insist=True)

    async def _have(
        self, traffic: SetWeights, bearing: tuple[Workload, ...], *, insist: bool
    ) -> Acted:
        # Before the write: one that is given up may have been written.
        before, self._ordered = self._ordered, traffic
        slots, extras = self.plan.slots_under(traffic), self.plan.extras_of(traffic)
        await self._shift(slots, bearing, WRITE, insist=insist, extras=extras)
        return await self.settle(traffic, before)

    async def settle(
        self,
        traffic: SetWeights,
        before: SetWeights | None = None,
        patience: timedelta = timedelta(0),
    ) -> Acted:
        """See the traffic obey, within the policy's deadline or `patience`, whichever is longer.

        `before`: what was in force; None where nothing else is known to have been.
        """
        within = max(self.plan.policies.settle_deadline, patience)
        slots = self.plan.slots_under(traffic)
        return await self._settle(slots, traffic, before or traffic, within)

    async def scale(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate, and see them join."""
        ordered = await self.order_replicas(replicas)
        if not sees_replicas_join():
            return ordered
        return await self.see_replicas(replicas, self.plan.policies.deploy_deadline)

    async def order_replicas(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate; whether they join is not seen."""
        workload = self.plan.candidate.workload
        await heeding(
            workflow.execute_activity_method(
                WorkloadActivities.scale,
                ScaleOrder(workload=workload, replicas=replicas),
                summary=f"scale {workload.name} to {replicas}",
                **WRITE,
            )
        )
        return Acted(state=ActState.DONE, at=workflow.now(), detail=f"scaled to {replicas}")

    async def see_replicas(
        self, replicas: int, within: timedelta, *, insist: bool = False
    ) -> Acted:
        """See so many replicas ready; what speaks against it ends the look, unless it insists."""
        workload = self.plan.candidate.workload
        return await heeding(
            workflow.execute_activity_method(
                WorkloadActivities.await_replicas,
                ReplicasOrder(
                    workload=workload,
                    replicas=replicas,
                    deadline=workflow.now() + within,
                    insist=insist,
                ),
                summary=f"see {replicas} of {workload.name} join",
                **_look_that_may_deploy(),
            )
        )

    def have_had_all(self) -> None:
        """Take for ordered all that may have been: whatever it was, it must be seen to be gone."""
        written = (step for step in self.plan.steps if isinstance(step, SetWeights))
        mirror = max((traffic.mirror for traffic in written), default=0)
        arms = None
        if self.plan.trial is not None:
            names = [one.name for one in self.plan.challengers]
            parts = apportion([1.0] * len(names), FULL)
            arms = ArmShares(weights=dict(zip(names, parts, strict=True)))
        self._ordered = SetWeights(candidate=FULL, mirror=mirror, arms=arms)

    async def go_home(self, say: Callable[[str], None]) -> SetWeights:
        """All traffic to stable, at once and for ever tried again; what was in force before."""
        await self._insist(self.plan.slots_at(0), self.plan.stable, self.plan.candidate, say)
        had, self._ordered = self._ordered, HOME
        return had

    async def go_full(self, say: Callable[[str], None]) -> None:
        """All traffic to the candidate that was promoted already; as insistent as the way home."""
        await self._insist(self.plan.slots_at(FULL), self.plan.candidate, self.plan.stable, say)
        self._ordered = SetWeights(candidate=FULL)

    async def see_home(self, had: SetWeights) -> Acted:
        """See the traffic at stable, and no copies of it; waits, but not for ever."""
        was_given = had.candidate or had.arms is not None
        if was_given or (had.mirror and workflow.patched("see-the-copies-end")):
            return await self._settle(self._written, HOME, had, ROLLBACK_SETTLES_WITHIN)
        return Acted(state=ActState.DONE, at=workflow.now(), detail="it carried no traffic")

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
                    without=(other.workload.name, self.plan.slots_of(bearer)),
                )
            except ActivityError as error:
                if is_cancelled_exception(error) or failure_type(error) == FencedOut.__name__:
                    raise
                age = workflow.now() - since
                say(f"for {spoken(age)} the way back has been refused: {root(error)}")
                await workflow.sleep(INSIST_AGAIN_AFTER)

    async def remove(self, leaving: Sequence[Variant], staying: Variant) -> None:
        """Take variants without weight off the route and off the cluster, in that order."""
        plan = self.plan
        await self._shift(plan.slots_of(staying), (staying.workload,), WRITE, insist=True)
        for workload in (one.workload for one in leaving):
            await workflow.execute_activity_method(
                TrafficActivities.disconnect,
                ConnectOrder(route=plan.route, workload=workload),
                summary=f"disconnect {workload.name}",
                **WRITE,
            )
            await workflow.execute_activity_method(
                WorkloadActivities.remove, workload, summary=f"remove {workload.name}", **WRITE
            )

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
            route=self.plan.route,
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
        self, slots: Slots, traffic: SetWeights, before: SetWeights, within: timedelta
    ) -> Acted:
        """See the slots in force, and the requests divide as in `traffic`."""
        if self.plan.trial is not None:
            return await self._settle_shares(slots, traffic, before, within)
        plan = self.plan
        return await workflow.execute_activity_method(
            TrafficActivities.settle,
            SettleOrder(
                route=plan.route,
                slots=slots,
                source=Source.ENVOY,
                candidate_slot=plan.candidate.slot,
                stable_slot=plan.stable.slot,
                weight=traffic.candidate,
                previous=before.candidate,
                probe_interval=plan.policies.probe_interval,
                deadline=workflow.now() + within,
                extras=plan.extras_of(traffic),
                mirrored_before=before.mirror,
            ),
            summary=f"see {traffic.candidate} % at the candidate",
            **look(),
        )

    async def _settle_shares(
        self, slots: Slots, traffic: SetWeights, before: SetWeights, within: timedelta
    ) -> Acted:
        """See the traffic of a trial obey: every two slots are compared."""
        plan, deadline = self.plan, workflow.now() + within
        return await workflow.execute_activity_method(
            TrafficActivities.settle_shares,
            SharesOrder(
                route=plan.route,
                slots=slots,
                before=plan.slots_under(before),
                source=Source.ENVOY,
                probe_interval=plan.policies.probe_interval,
                see_until=deadline,
                deadline=deadline,
                extras=plan.extras_of(traffic),
            ),
            summary="see the traffic divided",
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


def sees_replicas_join() -> bool:
    """Runs of a time when nobody looked for them go on as they were recorded."""
    return workflow.patched("see-replicas-join")


def _look_that_may_deploy() -> Options:
    """A look that brings up what it misses must end before anybody removes what it brought up."""
    if not workflow.patched("see-the-look-end"):
        return look()
    waits = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return Options(**{**look(), "cancellation_type": waits})


async def bring_up(
    workloads: Sequence[Workload],
    within: timedelta,
    then: Callable[[Workload], Awaitable[None]] | None = None,
) -> None:
    """Deploy workloads, which load at the same time; wait for each, and do with it what follows."""
    for workload in workloads:
        await heeding(
            workflow.execute_activity_method(
                WorkloadActivities.deploy, workload, summary=f"deploy {workload.name}", **WRITE
            )
        )
    for workload in workloads:
        await heeding(
            workflow.execute_activity_method(
                WorkloadActivities.await_ready,
                ReadyOrder(workload=workload, deadline=workflow.now() + within),
                summary=f"wait until {workload.name} is ready",
                **_look_that_may_deploy(),
            )
        )
        if then is not None:
            await then(workload)
