"""Model versions on the cluster: bring one up, wait until it is ready, take one down."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.heartbeats import say
from domain.errors import TransientError, WorkloadFailed
from domain.ports import WorkloadRuntime
from domain.workloads import Workload, WorkloadPhase

POLL = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyOrder:
    """Wait for a workload; `deadline` is a moment, so that a retry does not start it anew."""

    workload: Workload
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleOrder:
    """Have at least so many replicas of a workload."""

    workload: Workload
    replicas: int


class WorkloadActivities:
    def __init__(self, runtime: WorkloadRuntime) -> None:
        self._runtime = runtime

    @activity.defn(name="workload.deploy")
    async def deploy(self, workload: Workload) -> None:
        await self._runtime.deploy(workload)

    @activity.defn(name="workload.await_ready")
    async def await_ready(self, order: ReadyOrder) -> None:
        """Return once the workload is ready.

        Raises WorkloadFailed when it never will be, or when the deadline passes first. A cluster
        that does not answer is waited for: its silence says nothing about the workload.
        """
        while waiting_for := await self._look(order):
            say(waiting_for)
            if datetime.now(UTC) >= order.deadline:
                raise WorkloadFailed(f"{order.workload.name} was not ready in time: {waiting_for}")
            await asyncio.sleep(POLL.total_seconds())

    async def _look(self, order: ReadyOrder) -> str:
        """Say why the workload is not ready yet; nothing once it is."""
        try:
            status = await self._runtime.status(order.workload)
        except TransientError as error:
            return str(error)
        if status.phase is WorkloadPhase.FAILED:
            raise WorkloadFailed(f"{order.workload.name} failed: {status.reason}")
        if status.phase is WorkloadPhase.READY:
            return ""
        if status.phase is WorkloadPhase.MISSING:
            await self._runtime.deploy(order.workload)
        return status.reason or status.phase.value

    @activity.defn(name="workload.scale")
    async def scale(self, order: ScaleOrder) -> None:
        await self._runtime.scale(order.workload, order.replicas)

    @activity.defn(name="workload.remove")
    async def remove(self, workload: Workload) -> None:
        await self._runtime.remove(workload)
