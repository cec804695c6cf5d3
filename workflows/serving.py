"""Brings an inference service to what it is meant to be, outside any traffic config."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.record import ForgetServiceOrder, RecordActivities, ServiceStateOrder
from activities.workload import WorkloadActivities
from domain.registry import ServiceState
from workflows.acts import bring_up, root
from workflows.messages import ServeInput
from workflows.timeouts import RECORD, removal
from workflows.waiting import unbroken


@workflow.defn(name="ServeWorkflow")
class ServeWorkflow:
    """The new workload first and until it is ready; only then is what was there taken away."""

    @workflow.run
    async def run(self, order: ServeInput) -> str:
        """Return "" once the service stands as ordered, else why not: both are expected."""
        try:
            await self._serve(order)
        except (asyncio.CancelledError, FailureError) as error:
            await unbroken(self._record(order, ServiceState.FAILED, root(error)))
            if is_cancelled_exception(error):
                raise
            return root(error)
        return ""

    async def _serve(self, order: ServeInput) -> None:
        if order.wanted is not None:
            await bring_up((order.wanted,), order.deadline)
        for workload in order.leaving:
            await workflow.execute_activity_method(
                WorkloadActivities.remove,
                workload,
                summary=f"remove {workload.name}",
                **removal(order.deadline),
            )
        if order.forget:
            await workflow.execute_activity_method(
                RecordActivities.forget_service,
                ForgetServiceOrder(service_id=order.service_id),
                summary="forget the service",
                **RECORD,
            )
            return
        gone = tuple(workload.name for workload in order.leaving)
        is_up = order.wanted is not None
        reached = ServiceState.DEPLOYED if is_up else ServiceState.UNDEPLOYED
        await self._record(order, reached, "", gone)

    async def _record(
        self, order: ServeInput, state: ServiceState, reason: str, gone: tuple[str, ...] = ()
    ) -> None:
        await workflow.execute_activity_method(
            RecordActivities.service_state,
            ServiceStateOrder(service_id=order.service_id, state=state, reason=reason, gone=gone),
            summary=state,
            **RECORD,
        )
