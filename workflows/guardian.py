"""The guardian: brings home the traffic of rollouts whose run was cut off."""

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from activities.guard import GuardActivities
from domain.rollout import Phase, Rollout
from domain.story import headline, line
from workflows.messages import Mode, RolloutInput
from workflows.rollout import RolloutWorkflow
from workflows.search import ROLLOUT_MEMO, attributes_of
from workflows.timeouts import look


@workflow.defn(name="GuardianWorkflow")
class GuardianWorkflow:
    """Runs for ever under one ID. A terminated run cannot clean up after itself; this one does."""

    @workflow.run
    async def run(self) -> None:
        workflow.set_current_details("On patrol: every unfinished rollout has a run that walks it.")
        while not workflow.info().is_continue_as_new_suggested():
            for rollout in await workflow.execute_activity_method(
                GuardActivities.patrol, summary="patrol", **look()
            ):
                await self._recover(rollout)
        workflow.continue_as_new()

    @staticmethod
    async def _recover(rollout: Rollout) -> None:
        """Start a run that takes over, under the one ID of its traffic config."""
        promoted = rollout.phase is Phase.PROMOTING
        try:
            await workflow.start_child_workflow(
                RolloutWorkflow.run,
                RolloutInput(
                    rollout_id=rollout.id,
                    plan=rollout.plan,
                    actor="guardian",
                    reason="its run was cut off from outside; the guardian took over",
                    mode=Mode.RECOVER,
                    promoted=promoted,
                    chosen=rollout.chosen if promoted else "",
                ),
                id=rollout.workflow_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                memo={ROLLOUT_MEMO: str(rollout.id)},
                search_attributes=attributes_of(rollout.plan, rollout.phase),
                static_summary=line(f"recover: {headline(rollout.plan)}"),
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s is being walked after all", rollout.workflow_id)
