"""A one-shot change of a virtual model: done in full at the gateway, or taken back."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.virtual_models import (
    LayoutOrder,
    ObeyOrder,
    RemovalOrder,
    VirtualModelActivities,
)
from domain.errors import FencedOut, NotSettled
from domain.operations import Ending, OperationPhase
from domain.progress import ActState
from domain.virtual_routes import Layout, layout_of, stages, way_back
from workflows.acts import failure_type, root
from workflows.messages import OperationOrder
from workflows.timeouts import (
    BRIEF_WRITE,
    INSIST_AGAIN_AFTER,
    STAGE_SETTLES_WITHIN,
    WAY_HOME,
    WRITE,
    Options,
    look,
)
from workflows.undertaking import CANCELLED, Undertaking
from workflows.waiting import heeding


@workflow.defn(name="ChangeVirtualModelWorkflow")
class ChangeVirtualModelWorkflow(Undertaking):
    """One operation on one virtual model, under the workflow ID `virtual-model-<id>`.

    Walks the route through the stages of the change.
    """

    @workflow.init
    def __init__(self, order: OperationOrder) -> None:
        super().__init__(order.operation)
        self._change = order.operation.virtual
        self._route = self._change.route

    @workflow.run
    async def run(self, order: OperationOrder) -> Ending:
        return await self._carry_out(order)

    async def _make(self) -> str:
        await self._check()
        for stage in stages(self._change.before, self._change.after):
            await self._walk_to(stage)
        return ""

    async def _finish(self, detail: str) -> Ending:
        return await self._end(OperationPhase.DONE, detail)

    async def _check(self) -> None:
        self._show("looking for the backends")
        await heeding(
            workflow.execute_activity_method(
                VirtualModelActivities.check,
                args=(self._route, layout_of(self._change.after)),
                summary="see that the gateway knows the backends",
                **BRIEF_WRITE,
            )
        )

    async def _walk_to(self, stage: Layout) -> None:
        """Have the gateway obey this layout. Raises NotSettled as a failure."""
        self._show(_summary(stage))
        await heeding(self._write(stage, BRIEF_WRITE))
        if waited_for := await heeding(self._waited_for(stage)):
            raise ApplicationError(waited_for, type=NotSettled.__name__, non_retryable=True)

    async def _dismantle(self) -> Ending:
        """Take the route away, however long that takes: nothing leads back from the first try."""
        self._show("removing the route")
        await self._remove(WRITE)
        return await self._end(OperationPhase.DONE)

    async def _take_back(self, problem: str) -> list[str]:
        """Have the route stand as it stood; an earlier run may have written where this has not."""
        if not self._writes and problem != CANCELLED:
            return []
        return [await self._go_back()]

    async def _go_back(self) -> str:
        """Have the route stand as it stood. Gives what was left undone, in words."""
        path = way_back(self._change.before, self._change.after)
        try:
            for stage in path:
                await self._insist(stage)
                await self._waited_for(stage)
            if not path:
                await self._insist(None)
        except ActivityError as error:
            if failure_type(error) != FencedOut.__name__:
                raise
            return f"the route was left to its newer owner: {root(error)}"
        return ""

    async def _insist(self, stage: Layout | None) -> None:
        """Write until it is written, None: until the route is gone. FencedOut's failure passes."""
        while True:
            try:
                if stage is None:
                    return await self._remove(WAY_HOME)
                return await self._write(stage, WAY_HOME, insist=True)
            except ActivityError as error:
                if failure_type(error) == FencedOut.__name__:
                    raise
                self._show(f"the way back has been refused: {root(error)}")
                await workflow.sleep(INSIST_AGAIN_AFTER)

    async def _write(self, layout: Layout, options: Options, *, insist: bool = False) -> None:
        await workflow.execute_activity_method(
            VirtualModelActivities.write,
            LayoutOrder(route=self._route, layout=layout, owner=self._owner(), insist=insist),
            summary=_summary(layout),
            **options,
        )

    async def _remove(self, options: Options) -> None:
        await workflow.execute_activity_method(
            VirtualModelActivities.remove,
            RemovalOrder(route=self._route, owner=self._owner()),
            summary=f"remove the route of {self._route.model}",
            **options,
        )

    async def _waited_for(self, layout: Layout) -> str:
        """Say what the gateway has not done in time; nothing once it obeys."""
        deadline = workflow.now() + STAGE_SETTLES_WITHIN
        acted = await workflow.execute_activity_method(
            VirtualModelActivities.settle,
            ObeyOrder(route=self._route, layout=layout, deadline=deadline),
            summary="see the gateway obey",
            **look(),
        )
        return "" if acted.state is ActState.DONE else acted.detail


def _summary(layout: Layout) -> str:
    """The layout in a line, for whoever looks at the run."""
    shown = (
        f"{ref.name}{f' as {ref.model_name_override}' if ref.model_name_override else ''} "
        f"{ref.weight}{f' at priority {ref.priority}' if ref.priority else ''}"
        for ref in layout.refs
    )
    return " · ".join(shown)[:200]
