"""A one-shot change of live traffic: done in full, or taken back."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from activities.record import EndingOrder, RecordActivities
from domain.errors import FencedOut, Unreachable
from domain.operations import Ending, OperationPhase, slots_of
from domain.registry import Variants
from domain.traffic import Slots
from workflows.acts import failure_type, root
from workflows.hands import Hands
from workflows.messages import Mode, OperationOrder, OperationView
from workflows.timeouts import DRAIN, INSIST_AGAIN_AFTER, RECORD
from workflows.waiting import unbroken

CANCELLED = "Cancelled"
CUT_OFF = "its run was cut off from outside; the caretaker took back what it had begun"


@workflow.defn(name="ChangeTrafficWorkflow")
class ChangeTrafficWorkflow:
    """One operation on one traffic config, under the workflow ID `traffic-<config id>`.

    Whoever joins is ready and referenced at weight 0 before any weight moves; whoever leaves is
    drained before it goes. The registry is told at the end, in one transaction: until then what it
    says is what there was, and what is gone back to.
    """

    @workflow.init
    def __init__(self, order: OperationOrder) -> None:
        self._operation, self._change = order.operation, order.operation.traffic
        self._hands = Hands(order.operation)
        self._view = OperationView(doing=order.operation.summary)
        # What the route was last asked to be.
        self._written: Slots = ()

    @workflow.query(name="describe")
    def describe(self) -> OperationView:
        """What it is doing, and why it is being undone if it is."""
        return self._view

    @workflow.run
    async def run(self, order: OperationOrder) -> Ending:
        """Return how it ended; that it could not be done is a result, no failure."""
        if not self._change.after:
            return await unbroken(self._dismantle())
        if order.mode is Mode.RECOVER:
            return await unbroken(self._take_over())
        try:
            detail = await self._make()
        except (asyncio.CancelledError, Exception) as error:
            # Not BaseException: a collected coroutine's GeneratorExit must issue no command.
            problem, detail = problem_of(error)
            ending = await unbroken(self._undo(problem, detail))
            if is_cancelled_exception(error):
                raise
            return ending
        return await unbroken(self._tidy(detail))

    async def _take_over(self) -> Ending:
        """Onward where the registry knows of the new state already, else back."""
        self._hands.has_written = True
        if self._operation.phase is OperationPhase.TIDYING:
            return await self._remove(self._operation.detail)
        return await self._undo(CANCELLED, CUT_OFF)

    async def _make(self) -> str:
        """Get the traffic to where it is to be, and say what was seen of it."""
        change, hands = self._change, self._hands
        joining, leaving = change.joining, change.leaving
        self._show(f"bringing up {len(joining)}" if joining else self._operation.summary)
        await hands.bring_up(hands.workloads(joining))
        self._written = slots_of(change.before)
        if joining:
            self._show("adding the new variants at weight 0")
            await self._turn(slots_of(change.before, beside=joining), bearing_after=False)
        wanted = slots_of(change.after, beside=leaving)
        if wanted == self._written:
            return ""
        self._show("moving the weights")
        return await self._turn(wanted, bearing_after=True)

    async def _turn(self, slots: Slots, *, bearing_after: bool) -> str:
        before, self._written = self._written, slots
        bearing = self._change.after if bearing_after else self._change.before
        await self._hands.write(slots, bearing=bearing)
        return await self._hands.settle(before, slots)

    async def _tidy(self, detail: str) -> Ending:
        """Have the registry know, and those who leave gone."""
        if not self._change.leaving:
            return await self._end(Ending(phase=OperationPhase.DONE, detail=detail))
        await self._end(Ending(phase=OperationPhase.TIDYING, detail=detail))
        return await self._remove(detail)

    async def _remove(self, detail: str) -> Ending:
        change = self._change
        self._show("removing what left")
        if any(variant.weight for variant in change.leaving):
            await workflow.sleep(DRAIN)
        left = await self._drop(slots_of(change.after), change.after, change.leaving)
        said = "; ".join(part for part in (detail, *left) if part)
        return await self._end(Ending(phase=OperationPhase.DONE, detail=said))

    async def _undo(self, problem: str, detail: str) -> Ending:
        """Traffic back first, at once and for ever tried again; then whoever had joined goes."""
        change = self._change
        self._view = OperationView(doing="going back", problem=problem, detail=detail)
        self._show(f"going back: {detail}")
        left: list[str] = []
        if self._hands.has_written:
            left += await self._go_back()
        if change.joining and self._hands.has_written:
            await workflow.sleep(DRAIN)
            left += await self._drop(slots_of(change.before), change.before, change.joining)
        elif change.joining:
            left += await self._hands.take_down(self._hands.workloads(change.joining))
        said = "; ".join(part for part in (detail, *left) if part)
        return await self._end(Ending(phase=OperationPhase.UNDONE, problem=problem, detail=said))

    async def _go_back(self) -> list[str]:
        """Write what was; for ever tried again, unless a newer owner has the route."""
        change, hands = self._change, self._hands
        home = slots_of(change.before)
        way = slots_of(change.before, beside=change.joining)
        without = (change.joining[0].workload, home) if change.joining else None
        while True:
            try:
                written = await hands.insist(way, bearing=change.before, without=without)
                return await self._see_back(written)
            except ActivityError as error:
                if failure_type(error) == FencedOut.__name__:
                    return [f"the route was left to its newer owner: {root(error)}"]
                self._show(f"the way back has been refused: {root(error)}")
                await workflow.sleep(INSIST_AGAIN_AFTER)

    async def _see_back(self, slots: Slots) -> list[str]:
        try:
            await self._hands.settle(self._written, slots)
        except FailureError as error:
            return [f"the way back was not seen: {root(error)}"]
        return []

    async def _drop(self, slots: Slots, staying: Variants, leaving: Variants) -> list[str]:
        """Take them off the route and off the cluster, in that order."""
        hands = self._hands
        try:
            await hands.insist(slots, bearing=staying)
        except ActivityError as error:
            return [f"the route still names what left: {root(error)}"]
        return await hands.take_down(hands.workloads(leaving))

    async def _dismantle(self) -> Ending:
        """Take the route away, then all that stood behind it."""
        self._show("removing the route")
        await self._hands.remove_route()
        left = await self._hands.take_down(self._hands.workloads(self._change.leaving))
        return await self._end(Ending(phase=OperationPhase.DONE, detail="; ".join(left)))

    async def _end(self, ending: Ending) -> Ending:
        self._show(f"telling the registry: {ending.phase}")
        await workflow.execute_activity_method(
            RecordActivities.operation_ended,
            EndingOrder(operation_id=self._operation.id, ending=ending),
            summary=ending.phase,
            **RECORD,
        )
        self._show(ending.detail or ending.phase)
        return ending

    def _show(self, doing: str) -> None:
        self._view = OperationView(
            doing=doing, problem=self._view.problem, detail=self._view.detail
        )
        workflow.set_current_details(f"**{self._operation.summary}**\n\n{doing}")


def problem_of(error: BaseException) -> tuple[str, str]:
    """The class of the domain error that stood in the way, and its words."""
    if is_cancelled_exception(error):
        return CANCELLED, "the operation was cancelled"
    return failure_type(error) or Unreachable.__name__, root(error)
