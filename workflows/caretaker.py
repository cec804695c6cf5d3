"""The caretaker: has operations carried out that nobody else would."""

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.care import CareActivities
from domain.operations import ChangeKind, Operation, OperationPhase
from domain.story import line
from workflows.changes import CHANGES
from workflows.messages import Mode, OperationOrder
from workflows.search import OPERATION_MEMO, attributes_of_operation
from workflows.timeouts import look


@workflow.defn(name="CaretakerWorkflow")
class CaretakerWorkflow:
    """Runs for ever under one ID.

    An operation that was cut off is taken over: back to what the registry says, or onward to it. A
    variant that was kept for the rollback window is retired when that is over.
    """

    @workflow.run
    async def run(self) -> None:
        workflow.set_current_details("Every operation has a run; nothing is due.")
        while not workflow.info().is_continue_as_new_suggested():
            for operation in await workflow.execute_activity_method(
                CareActivities.look, summary="look around", **look()
            ):
                await self._have_done(operation)
        workflow.continue_as_new()

    @staticmethod
    async def _have_done(operation: Operation) -> None:
        """Start a run under the one ID of the subject."""
        # A retirement moves no traffic: it is begun here, and begun again where it was cut off.
        fresh = operation.phase is OperationPhase.RUNNING
        retires = fresh and operation.change.kind is ChangeKind.RETIRE
        mode = Mode.WALK if retires else Mode.RECOVER
        try:
            await workflow.start_child_workflow(
                CHANGES[operation.subject],
                OperationOrder(operation=operation, mode=mode),
                id=operation.workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                memo={OPERATION_MEMO: str(operation.id)},
                search_attributes=attributes_of_operation(operation),
                static_summary=line(f"{operation.change.route.model}: {operation.summary}"),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s is at work after all", operation.workflow_id)
