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
from activities.workload import ReadyOrder, ReplicasOrder, ScaleOrder, WorkloadActivities
from domain.decision import Acted, ActState
from domain.errors import FencedOut
from domain.gates import Source
from domain.plan import Plan, Variant
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
    """The hands of one rollout. `weight` is the candidate's share as last ordered."""

    def __init__(self, rollout_id: UUID, plan: Plan) -> None:
        self._rollout_id = rollout_id
        self._plan = plan
        self._writes = 0
        self._written: Slots = ()
        self.weight = 0

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
        return await self._settle(plan.slots_at(0), 0, 0, plan.policies.settle_deadline)

    async def set_weights(self, traffic: SetWeights, *, insist: bool = False) -> Acted:
        """Have the traffic be so, and see it obey."""
        # Before the write: one that is given up may have been written.
        previous, self.weight = self.weight, traffic.candidate
        await self._shift(
            self._plan.slots_at(traffic.candidate),
            self._bearing(traffic),
            WRITE,
            insist=insist,
            extras=self._plan.extras_of(traffic),
        )
        return await self.settle(traffic, previous)

    async def settle(
        self, traffic: SetWeights, previous: int, patience: timedelta = timedelta(0)
    ) -> Acted:
        """See the traffic obey, within the policy's deadline or `patience`, whichever is longer."""
        weight, within = traffic.candidate, max(self._plan.policies.settle_deadline, patience)
        slots, extras = self._plan.slots_at(weight), self._plan.extras_of(traffic)
        return await self._settle(slots, weight, previous, within, extras)

    async def scale(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate, and see them join."""
        ordered = await self.order_replicas(replicas)
        if not sees_replicas_join():
            return ordered
        return await self.see_replicas(replicas, self._plan.policies.deploy_deadline)

    async def order_replicas(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate; whether they join is not seen."""
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

    async def see_replicas(
        self, replicas: int, within: timedelta, *, insist: bool = False
    ) -> Acted:
        """See so many replicas ready; what speaks against it ends the look, unless it insists."""
        workload = self._plan.candidate.workload
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

    async def go_home(self, say: Callable[[str], None]) -> int:
        """All traffic to stable, at once and for ever tried again; the share that it leaves."""
        await self._insist(self._plan.slots_at(0), self._plan.stable, self._plan.candidate, say)
        left, self.weight = self.weight, 0
        return left

    async def go_full(self, say: Callable[[str], None]) -> None:
        """All traffic to the candidate that was promoted already; as insistent as the way home."""
        await self._insist(self._plan.slots_at(FULL), self._plan.candidate, self._plan.stable, say)
        self.weight = FULL

    async def see_home(self, left: int) -> Acted:
        """See the traffic at stable, which left a share of `left`; waits, but not for ever."""
        if not left:
            return Acted(state=ActState.DONE, at=workflow.now(), detail="it never carried traffic")
        return await self._settle(self._written, 0, left, ROLLBACK_SETTLES_WITHIN)

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
        previous: int,
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
                previous=previous,
                probe_interval=plan.policies.probe_interval,
                deadline=workflow.now() + within,
                extras=extras,
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


def sees_replicas_join() -> bool:
    """Runs of a time when nobody looked for them go on as they were recorded."""
    return workflow.patched("see-replicas-join")


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
