"""Model versions on the cluster: bring one up, scale it, wait until it is ready, take it down."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.heartbeats import say
from domain.errors import NO_ANSWER, WorkloadFailed
from domain.ports import WorkloadRuntime
from domain.progress import Acted, ActState
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasOrder:
    """Wait for the replicas of a workload, which was scaled to so many.

    With `insist`, nothing but the deadline ends the wait before they are there.
    """

    workload: Workload
    replicas: int
    deadline: datetime
    insist: bool = False


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
        except NO_ANSWER as error:
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

    @activity.defn(name="workload.await_replicas")
    async def await_replicas(self, order: ReplicasOrder) -> Acted:
        """Wait until so many replicas are ready, and say how it ended.

        Others are not waited for once the workload has failed, or somebody has changed its scale:
        DRIFTED. A cluster that does not answer is waited for.
        """
        while True:
            acted = await self._count(order)
            may_still_come = acted.state is ActState.SILENT or order.insist
            if acted.state is ActState.DONE or not may_still_come:
                return acted
            say(acted.detail)
            if acted.at >= order.deadline:
                return _too_late(order, acted)
            await asyncio.sleep(POLL.total_seconds())

    async def _count(self, order: ReplicasOrder) -> Acted:
        """How it stands at this moment; SILENT as long as nothing speaks against it."""
        workload, replicas = order.workload, order.replicas
        try:
            drift = await self._runtime.drift(workload, replicas)
            status = await self._runtime.status(workload, replicas)
        except NO_ANSWER as error:
            return _seen(ActState.SILENT, str(error))
        if drift is not None:
            return _seen(ActState.DRIFTED, str(drift))
        match status.phase:
            case WorkloadPhase.READY:
                return _seen(ActState.DONE, f"scaled to {replicas}")
            case WorkloadPhase.FAILED:
                return _seen(ActState.NOT_READY, f"{workload.name} failed: {status.reason}")
            case WorkloadPhase.MISSING:
                await self._runtime.deploy(workload)
                await self._runtime.scale(workload, replicas)
            case WorkloadPhase.LOADING:
                pass
        return _seen(ActState.SILENT, status.reason or status.phase.value)

    @activity.defn(name="workload.remove")
    async def remove(self, workload: Workload) -> None:
        await self._runtime.remove(workload)


def _seen(state: ActState, detail: str) -> Acted:
    return Acted(state=state, at=datetime.now(UTC), detail=detail)


def _too_late(order: ReplicasOrder, acted: Acted) -> Acted:
    if acted.state is not ActState.SILENT:
        return acted
    detail = f"{order.workload.name} was not scaled in time: {acted.detail}"
    return replace(acted, state=ActState.NOT_READY, detail=detail)
