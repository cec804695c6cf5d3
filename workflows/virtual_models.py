"""A one-shot change of a virtual model: done in full at the gateway, or taken back."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    is_cancelled_exception,
)

from activities.record import EndingOrder, RecordActivities
from activities.virtual_models import (
    LayoutOrder,
    ObeyOrder,
    RemovalOrder,
    VirtualModelActivities,
)
from domain.decision import ActState
from domain.errors import FencedOut, NotSettled
from domain.operations import Ending, OperationPhase
from domain.traffic import Ownership
from domain.virtual_routes import Layout, layout_of, stages, way_back
from workflows.acts import failure_type, root
from workflows.messages import Mode, OperationOrder, OperationView
from workflows.operation import CANCELLED, CUT_OFF, problem_of
from workflows.timeouts import (
    BRIEF_WRITE,
    INSIST_AGAIN_AFTER,
    RECORD,
    STAGE_SETTLES_WITHIN,
    WAY_HOME,
    WRITE,
    Options,
    look,
)
from workflows.waiting import heeding, unbroken


@workflow.defn(name="ChangeVirtualModelWorkflow")
class ChangeVirtualModelWorkflow:
    """One operation on one virtual model, under the workflow ID `virtual-model-<id>`.

    Walks the route through the stages of the change. The registry is told at the end: until then
    what it says is what there was, and what is gone back to.
    """

    @workflow.init
    def __init__(self, order: OperationOrder) -> None:
        self._operation, self._change = order.operation, order.operation.virtual
        self._route = self._change.route
        self._writes = 0
        self._view = OperationView(doing=order.operation.summary)

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
            return await unbroken(self._undo(CANCELLED, CUT_OFF))
        try:
            await self._check()
            for stage in stages(self._change.before, self._change.after):
                await self._walk_to(stage)
        except (asyncio.CancelledError, Exception) as error:
            # Not BaseException: a collected coroutine's GeneratorExit must issue no command.
            ending = await unbroken(self._undo(*problem_of(error)))
            if is_cancelled_exception(error):
                raise
            return ending
        return await unbroken(self._end(Ending(phase=OperationPhase.DONE)))

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
        return await self._end(Ending(phase=OperationPhase.DONE))

    async def _undo(self, problem: str, detail: str) -> Ending:
        self._view = OperationView(doing="going back", problem=problem, detail=detail)
        self._show(f"going back: {detail}")
        left = "" if not self._writes and problem != CANCELLED else await self._go_back()
        said = "; ".join(part for part in (detail, left) if part)
        return await self._end(Ending(phase=OperationPhase.UNDONE, problem=problem, detail=said))

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

    def _owner(self) -> Ownership:
        self._writes += 1
        return Ownership(
            holder=f"operation {self._operation.id}",
            ordered_at=workflow.now(),
            run_id=workflow.info().run_id,
            sequence=self._writes,
        )

    def _show(self, doing: str) -> None:
        self._view = OperationView(
            doing=doing, problem=self._view.problem, detail=self._view.detail
        )
        workflow.set_current_details(f"**{self._operation.summary}**\n\n{doing}")


def _summary(layout: Layout) -> str:
    """The layout in a line, for whoever looks at the run."""
    shown = (
        f"{ref.name}{f' as {ref.model_name_override}' if ref.model_name_override else ''} "
        f"{ref.weight}{f' at priority {ref.priority}' if ref.priority else ''}"
        for ref in layout.refs
    )
    return " · ".join(shown)[:200]
