"""What one-shot changes have in common: done in full or taken back, told to the registry, shown."""

import asyncio
from abc import ABC, abstractmethod

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from activities.record import EndingOrder, RecordActivities
from domain.errors import Unreachable
from domain.operations import Ending, Operation, OperationPhase
from domain.traffic import Ownership
from workflows.acts import failure_type, root
from workflows.messages import Mode, OperationOrder, OperationView
from workflows.timeouts import RECORD
from workflows.waiting import unbroken

CANCELLED = "Cancelled"
CUT_OFF = "its run was cut off from outside; the caretaker took back what it had begun"


class Undertaking(ABC):
    """The frame of a workflow that carries one operation out.

    The registry is told at the end: until then what it says is what there was, and what is gone
    back to. Whoever subclasses this says how to do it, how to finish it, and how to undo it.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._view = OperationView(doing=operation.summary)
        self._writes = 0

    @workflow.query(name="describe")
    def describe(self) -> OperationView:
        """What it is doing, and why it is being undone if it is."""
        return self._view

    @abstractmethod
    async def _make(self) -> str:
        """Bring the change about, and say what was seen of it."""

    @abstractmethod
    async def _finish(self, detail: str) -> Ending:
        """What comes after the change is in force, to the end of the operation."""

    @abstractmethod
    async def _take_back(self, problem: str) -> list[str]:
        """Have everything as it was; what is left undone, in words."""

    @abstractmethod
    async def _dismantle(self) -> Ending:
        """Take everything away: nothing leads back from the first try."""

    async def _take_over(self) -> Ending:
        """Go on after a run that was cut off."""
        return await self._undo(CANCELLED, CUT_OFF)

    async def _carry_out(self, order: OperationOrder) -> Ending:
        """Return how it ended; that it could not be done is a result, no failure."""
        if not order.operation.change.after:
            return await unbroken(self._dismantle())
        if order.mode is Mode.RECOVER:
            return await unbroken(self._take_over())
        try:
            detail = await self._make()
        except (asyncio.CancelledError, Exception) as error:
            # Not BaseException: a collected coroutine's GeneratorExit must issue no command.
            ending = await unbroken(self._undo(*problem_of(error)))
            if is_cancelled_exception(error):
                raise
            return ending
        return await unbroken(self._finish(detail))

    async def _undo(self, problem: str, detail: str) -> Ending:
        self._view = OperationView(doing="going back", problem=problem, detail=detail)
        self._show(f"going back: {detail}")
        left = await self._take_back(problem)
        return await self._end(OperationPhase.UNDONE, detail, *left, problem=problem)

    async def _end(self, phase: OperationPhase, *said: str, problem: str | None = None) -> Ending:
        """Have the registry know, however long that takes."""
        detail = "; ".join(part for part in said if part)
        ending = Ending(phase=phase, problem=problem, detail=detail)
        self._show(f"telling the registry: {phase}")
        await workflow.execute_activity_method(
            RecordActivities.operation_ended,
            EndingOrder(operation_id=self._operation.id, ending=ending),
            summary=phase,
            **RECORD,
        )
        self._show(detail or phase)
        return ending

    def _owner(self) -> Ownership:
        """The owner of the next write, newer than all before it."""
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


def problem_of(error: BaseException) -> tuple[str, str]:
    """The class of the domain error that stood in the way, and its words."""
    if is_cancelled_exception(error):
        return CANCELLED, "the operation was cancelled"
    return failure_type(error) or Unreachable.__name__, root(error)
