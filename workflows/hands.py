"""What a one-shot change does to the cluster: bring variants up, write the route, see it obeyed."""

from collections.abc import Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.shares import SharesOrder
from activities.traffic import ConnectOrder, RemoveOrder, ShiftOrder, TrafficActivities
from activities.workload import ReadyOrder, WorkloadActivities
from domain.errors import NotSettled
from domain.gates import Source
from domain.operations import TrafficChange
from domain.progress import ActState
from domain.registry import Variants
from domain.traffic import Ownership, Slots
from domain.workloads import Workload
from workflows.acts import root
from workflows.timeouts import (
    BRIEF_WRITE,
    CHANGE_DEPLOYS_WITHIN,
    CHANGE_IS_SEEN_WITHIN,
    CHANGE_PROBES_EVERY,
    CHANGE_SETTLES_WITHIN,
    TIDY,
    WAY_HOME,
    WRITE,
    Options,
    look,
)
from workflows.waiting import heeding


class Hands:
    """The hands of one change of a traffic config. Absolute orders, safe to give twice.

    `has_written` from the first order on that may have changed the route. `owner` gives the owner
    of each write.
    """

    def __init__(self, change: TrafficChange, owner: Callable[[], Ownership]) -> None:
        self._change, self._owner = change, owner
        self.has_written = False

    def workloads(self, variants: Variants) -> tuple[Workload, ...]:
        return tuple(self._change.workload_of(variant) for variant in variants)

    async def bring_up(self, workloads: Iterable[Workload]) -> None:
        """Have all of them ready and known to the gateway; they load at the same time."""
        listed = tuple(workloads)
        for workload in listed:
            await heeding(
                workflow.execute_activity_method(
                    WorkloadActivities.deploy,
                    workload,
                    summary=f"deploy {workload.name}",
                    **BRIEF_WRITE,
                )
            )
        deadline = workflow.now() + CHANGE_DEPLOYS_WITHIN
        for workload in listed:
            await heeding(
                workflow.execute_activity_method(
                    WorkloadActivities.await_ready,
                    ReadyOrder(workload=workload, deadline=deadline),
                    summary=f"wait until {workload.name} is ready",
                    **look(),
                )
            )
            await heeding(
                workflow.execute_activity_method(
                    TrafficActivities.connect,
                    ConnectOrder(route=self._change.route, workload=workload),
                    summary=f"connect {workload.name} to the gateway",
                    **BRIEF_WRITE,
                )
            )

    async def write(self, slots: Slots, *, bearing: Variants) -> None:
        """Write the route. What carries traffic must be ready."""
        order = self._shift(slots, bearing)
        try:
            await heeding(self._ordered(order, BRIEF_WRITE))
        except ActivityError as error:
            # A plain refusal has written nothing; anything else may have.
            self.has_written = self.has_written or not is_refusal(error)
            raise
        except BaseException:
            self.has_written = True
            raise
        self.has_written = True

    async def insist(
        self, slots: Slots, *, bearing: Variants, without: tuple[str, Slots] | None = None
    ) -> Slots:
        """Write the route, for ever tried again: what carries traffic is brought up meanwhile.

        Gives the slots that were written: those without the newcomers where it knew none of them.
        """
        order = self._shift(slots, bearing, insist=True, without=without)
        return await self._ordered(order, WAY_HOME)

    async def settle(self, before: Slots, slots: Slots) -> str:
        """See the traffic obey, and say what was seen. Raises NotSettled as a failure."""
        now = workflow.now()
        acted = await heeding(
            workflow.execute_activity_method(
                TrafficActivities.settle_shares,
                SharesOrder(
                    route=self._change.route,
                    slots=slots,
                    before=before,
                    source=Source.ENVOY,
                    probe_interval=CHANGE_PROBES_EVERY,
                    see_until=now + CHANGE_IS_SEEN_WITHIN,
                    deadline=now + CHANGE_SETTLES_WITHIN,
                ),
                summary="see the traffic obey",
                **look(),
            )
        )
        if acted.state is not ActState.DONE:
            raise ApplicationError(acted.detail, type=NotSettled.__name__, non_retryable=True)
        return acted.detail

    async def take_down(self, workloads: Iterable[Workload]) -> list[str]:
        """Have the gateway and the cluster forget them; what could not be removed is named."""
        left = []
        for workload in workloads:
            try:
                await self._remove(workload)
            except ActivityError as error:
                left.append(f"{workload.name} could not be removed: {root(error)}")
        return left

    async def remove_route(self) -> None:
        """Have the route gone, however long that takes: nothing leads back from the first try."""
        await workflow.execute_activity_method(
            TrafficActivities.remove,
            RemoveOrder(route=self._change.route, owner=self._owner()),
            summary=f"remove the route of {self._change.route.model}",
            **WRITE,
        )

    async def _remove(self, workload: Workload) -> None:
        await workflow.execute_activity_method(
            TrafficActivities.disconnect,
            ConnectOrder(route=self._change.route, workload=workload),
            summary=f"disconnect {workload.name}",
            **TIDY,
        )
        if workload.name != self._change.stays:
            await workflow.execute_activity_method(
                WorkloadActivities.remove, workload, summary=f"remove {workload.name}", **TIDY
            )

    async def _ordered(self, order: ShiftOrder, options: Options) -> Slots:
        return await workflow.execute_activity_method(
            TrafficActivities.shift,
            order,
            summary=" · ".join(f"{slot.workload} {slot.weight} %" for slot in order.slots),
            **options,
        )

    def _shift(
        self,
        slots: Slots,
        bearing: Variants,
        *,
        insist: bool = False,
        without: tuple[str, Slots] | None = None,
    ) -> ShiftOrder:
        absent, slots_without = without or ("", None)
        return ShiftOrder(
            route=self._change.route,
            slots=slots,
            owner=self._owner(),
            bearing=self.workloads(tuple(v for v in bearing if v.weight)),
            insist=insist,
            if_absent=absent,
            slots_without=slots_without,
        )


def is_refusal(error: ActivityError) -> bool:
    """Whether the cluster said no, so that nothing was written."""
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.non_retryable
