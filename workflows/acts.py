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
from activities.workload import ReadyOrder, ScaleOrder, WorkloadActivities
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


class Acts:
    """The hands of one rollout. `weight` is the share of its challengers as last ordered."""

    def __init__(self, rollout_id: UUID, plan: Plan) -> None:
        self._rollout_id = rollout_id
        self.plan = plan
        self._writes = 0
        self._written: Slots = ()
        self._ordered: Slots = plan.slots_at(0)
        self.weight = 0

    async def deploy(self) -> Acted:
        """Bring all challengers up: ready, connected, referenced at weight 0, and known."""
        plan = self.plan
        await bring_up(
            tuple(one.workload for one in plan.challengers),
            plan.policies.deploy_deadline,
            self._connect,
        )
        await self._shift(plan.slots_at(0), (plan.stable.workload,), WRITE)
        return await self._settle(plan.slots_at(0), 0, 0, plan.policies.settle_deadline)

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
        previous, before = await self._order(traffic, bearing, insist=insist)
        return await self._see(traffic, previous, before)

    async def take_out(self, traffic: SetWeights) -> Acted:
        """Have arms of a trial lose what they get to stable, whatever is the matter with others."""
        stable = self.plan.stable.workload
        previous, before = await self._order(traffic, (stable,), insist=True)
        return await self._see(traffic, previous, before)

    async def settle(
        self, traffic: SetWeights, previous: int, patience: timedelta = timedelta(0)
    ) -> Acted:
        """See the traffic obey, within the policy's deadline or `patience`, whichever is longer."""
        return await self._see(traffic, previous, self._ordered, patience)

    async def _order(
        self, traffic: SetWeights, bearing: tuple[Workload, ...], *, insist: bool
    ) -> tuple[int, Slots]:
        """Write the traffic; the weight and the slots that were ordered before."""
        # Before the write: one that is given up may have been written.
        previous, self.weight = self.weight, traffic.candidate
        before, self._ordered = self._ordered, self.plan.slots_under(traffic)
        extras = self.plan.extras_of(traffic)
        await self._shift(self._ordered, bearing, WRITE, insist=insist, extras=extras)
        return previous, before

    async def _see(
        self,
        traffic: SetWeights,
        previous: int,
        before: Slots,
        patience: timedelta = timedelta(0),
    ) -> Acted:
        within = max(self.plan.policies.settle_deadline, patience)
        slots, extras = self.plan.slots_under(traffic), self.plan.extras_of(traffic)
        if self.plan.trial is not None:
            return await self._settle_shares(before, slots, within, extras)
        return await self._settle(slots, traffic.candidate, previous, within, extras)

    async def scale(self, replicas: int) -> Acted:
        """Have at least so many replicas of the candidate."""
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

    async def go_home(self, say: Callable[[str], None]) -> int:
        """All traffic to stable, at once and for ever tried again; the share that it leaves."""
        await self._insist(self.plan.slots_at(0), self.plan.stable, self.plan.candidate, say)
        left, self.weight = self.weight, 0
        return left

    async def go_full(self, say: Callable[[str], None]) -> None:
        """All traffic to the candidate that was promoted already; as insistent as the way home."""
        await self._insist(self.plan.slots_at(FULL), self.plan.candidate, self.plan.stable, say)
        self.weight = FULL

    def presume_given(self) -> None:
        """Of a run before this one nothing is known: the challengers may have had everything."""
        shares = apportion([1.0] * len(self.plan.challengers), FULL)
        names = (one.name for one in self.plan.challengers)
        arms = ArmShares(weights=dict(zip(names, shares, strict=True)))
        self.weight, self._ordered = (
            FULL,
            self.plan.slots_under(SetWeights(candidate=FULL, arms=arms)),
        )

    async def see_home(self, left: int) -> Acted:
        """See the traffic at stable, which left a share of `left`; waits, but not for ever."""
        if not left:
            none = "never carried" if self.plan.trial is None else "carried no more"
            return Acted(state=ActState.DONE, at=workflow.now(), detail=f"it {none} traffic")
        if self.plan.trial is not None:
            before, self._ordered = self._ordered, self._written
            return await self._settle_shares(before, self._written, ROLLBACK_SETTLES_WITHIN)
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
        self,
        slots: Slots,
        weight: int,
        previous: int,
        within: timedelta,
        extras: Extras = NO_EXTRAS,
    ) -> Acted:
        plan = self.plan
        return await workflow.execute_activity_method(
            TrafficActivities.settle,
            SettleOrder(
                route=plan.route,
                slots=slots,
                source=self._source,
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

    async def _settle_shares(
        self, before: Slots, slots: Slots, within: timedelta, extras: Extras = NO_EXTRAS
    ) -> Acted:
        """See the traffic of a trial obey: every two slots are compared."""
        deadline = workflow.now() + within
        return await workflow.execute_activity_method(
            TrafficActivities.settle_shares,
            SharesOrder(
                route=self.plan.route,
                slots=slots,
                before=before,
                source=self._source,
                probe_interval=self.plan.policies.probe_interval,
                see_until=deadline,
                deadline=deadline,
                extras=extras,
            ),
            summary="see the traffic divided",
            **look(),
        )

    @property
    def _source(self) -> Source:
        return self.plan.gates[0].source if self.plan.gates else Source.ENVOY


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
