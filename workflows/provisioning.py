"""One-shot changes outside a rollout: deploy an inference service, publish a traffic config."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.record import ConfigStatusOrder, RecordActivities, ServiceStateOrder
from activities.traffic import ConnectOrder, SettleOrder, ShiftOrder, TrafficActivities
from domain.gates import Source
from domain.progress import ActState
from domain.registry import ConfigStatus, ServiceState
from domain.traffic import FULL, Bearer, Ownership, compose
from workflows.acts import bring_up, root
from workflows.messages import DeployServiceInput, PublishConfigInput
from workflows.timeouts import RECORD, WRITE, look
from workflows.waiting import unbroken

QUIET_PROBE = timedelta(seconds=1)


@workflow.defn(name="DeployServiceWorkflow")
class DeployServiceWorkflow:
    """Brings the InferenceService of an inference service up and records how it went.

    `ServeWorkflow` has taken its place; runs that began before that end as they began.
    """

    @workflow.run
    async def run(self, order: DeployServiceInput) -> str:
        """Return "" once it is ready, else why it is not: an expected outcome is a result."""
        try:
            await bring_up((order.workload,), order.deadline)
        except (asyncio.CancelledError, FailureError) as error:
            await unbroken(self._record(order, ServiceState.FAILED, root(error)))
            if is_cancelled_exception(error):
                raise
            return root(error)
        await self._record(order, ServiceState.DEPLOYED, "")
        return ""

    async def _record(self, order: DeployServiceInput, state: ServiceState, reason: str) -> None:
        await workflow.execute_activity_method(
            RecordActivities.service_state,
            ServiceStateOrder(service_id=order.service_id, state=state, reason=reason),
            summary=state,
            **RECORD,
        )


@workflow.defn(name="PublishConfigWorkflow")
class PublishConfigWorkflow:
    """Gives a traffic config its route with stable at 100, and records how it went."""

    @workflow.run
    async def run(self, order: PublishConfigInput) -> str:
        """Return "" once the gateway has taken the route, else why it has not."""
        try:
            trouble = await self._publish(order)
        except (asyncio.CancelledError, FailureError) as error:
            await unbroken(self._record(order, ConfigStatus.FAILED, root(error)))
            if is_cancelled_exception(error):
                raise
            return root(error)
        status = ConfigStatus.FAILED if trouble else ConfigStatus.ACTIVE
        await self._record(order, status, trouble)
        return trouble

    async def _publish(self, order: PublishConfigInput) -> str:
        workload, slot = order.stable.workload, order.stable.slot
        slots = compose((Bearer(slot=slot, workload=workload.name, weight=FULL),), workload.name)
        await bring_up((workload,), order.deadline)
        await workflow.execute_activity_method(
            TrafficActivities.connect,
            ConnectOrder(route=order.route, workload=workload),
            summary=f"connect {workload.name} to the gateway",
            **WRITE,
        )
        owner = Ownership(
            holder=f"config {order.config_id}",
            ordered_at=workflow.now(),
            run_id=workflow.info().run_id,
            sequence=1,
        )
        await workflow.execute_activity_method(
            TrafficActivities.shift,
            ShiftOrder(route=order.route, slots=slots, owner=owner, bearing=(workload,)),
            summary=f"{workload.name} {FULL} %",
            **WRITE,
        )
        acted = await workflow.execute_activity_method(
            TrafficActivities.settle,
            SettleOrder(
                route=order.route,
                slots=slots,
                source=Source.ENVOY,
                candidate_slot=slot,
                stable_slot=slot,
                weight=0,
                previous=0,
                probe_interval=QUIET_PROBE,
                deadline=workflow.now() + order.deadline,
            ),
            summary="see the gateway take the route",
            **look(),
        )
        return "" if acted.state is ActState.DONE else acted.detail

    async def _record(self, order: PublishConfigInput, status: ConfigStatus, reason: str) -> None:
        await workflow.execute_activity_method(
            RecordActivities.config_status,
            ConfigStatusOrder(config_id=order.config_id, status=status, reason=reason),
            summary=status,
            **RECORD,
        )
