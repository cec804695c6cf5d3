"""A one-shot change of live traffic: done in full, or taken back."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from domain.errors import FencedOut
from domain.operations import Ending, OperationPhase, slots_of
from domain.registry import Variants
from domain.traffic import Slots
from workflows.acts import failure_type, root
from workflows.hands import Hands
from workflows.messages import OperationOrder
from workflows.timeouts import DRAIN, INSIST_AGAIN_AFTER
from workflows.undertaking import Undertaking


@workflow.defn(name="ChangeTrafficWorkflow")
class ChangeTrafficWorkflow(Undertaking):
    """One operation on one traffic config, under the workflow ID `traffic-<config id>`.

    Whoever joins is ready and referenced at weight 0 before any weight moves; whoever leaves is
    drained before it goes.
    """

    @workflow.init
    def __init__(self, order: OperationOrder) -> None:
        super().__init__(order.operation)
        self._change = order.operation.traffic
        self._hands = Hands(self._change, self._owner)
        # What the route was last asked to be.
        self._written: Slots = ()

    @workflow.run
    async def run(self, order: OperationOrder) -> Ending:
        return await self._carry_out(order)

    async def _take_over(self) -> Ending:
        """Onward where the registry knows of the new state already, else back."""
        self._hands.has_written = True
        if self._operation.phase is OperationPhase.TIDYING:
            return await self._tidy(self._operation.detail)
        return await super()._take_over()

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

    async def _finish(self, detail: str) -> Ending:
        """Have the registry know, and those who leave gone."""
        if not self._change.leaving:
            return await self._end(OperationPhase.DONE, detail)
        await self._end(OperationPhase.TIDYING, detail)
        return await self._tidy(detail)

    async def _tidy(self, detail: str) -> Ending:
        change = self._change
        self._show("removing what left")
        if any(variant.weight for variant in change.leaving):
            await workflow.sleep(DRAIN)
        left = await self._drop(slots_of(change.after), change.after, change.leaving)
        return await self._end(OperationPhase.DONE, detail, *left)

    async def _take_back(self, problem: str) -> list[str]:  # noqa: ARG002 - whatever it was
        """Traffic first, at once and for ever tried again; then whoever had joined goes."""
        change, hands = self._change, self._hands
        if not hands.has_written:
            return await hands.take_down(hands.workloads(change.joining))
        left = await self._go_back()
        if change.joining:
            await workflow.sleep(DRAIN)
            left += await self._drop(slots_of(change.before), change.before, change.joining)
        return left

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
        return await self._end(OperationPhase.DONE, *left)
