"""The worker process: workflows and writes on one task queue, long looks on another."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from activities.analysis import AnalysisActivities, WatchPorts
from activities.care import CareActivities
from activities.comparing import ComparingPorts
from activities.failures import DomainFailures
from activities.fleet import FleetActivities
from activities.guard import GuardActivities
from activities.heartbeats import Heartbeats
from activities.notify import NotifyActivities
from activities.reading import ReadingPorts
from activities.record import RecordActivities
from activities.traffic import TrafficActivities
from activities.virtual_models import VirtualModelActivities
from activities.workload import WorkloadActivities
from bootstrap.clients import WorkerClients, worker_clients
from bootstrap.sandboxing import workflow_runner
from bootstrap.settings import SettingsError, read_settings
from bootstrap.telemetry import log_to_stderr, worker_runtime
from workflows.caretaker import CaretakerWorkflow
from workflows.guardian import GuardianWorkflow
from workflows.messages import CARETAKER_ID, GUARDIAN_ID, TASK_QUEUE, watchers_of
from workflows.operation import ChangeTrafficWorkflow
from workflows.provisioning import DeployServiceWorkflow, PublishConfigWorkflow
from workflows.rollout import RolloutWorkflow
from workflows.serving import ServeWorkflow
from workflows.virtual_models import ChangeVirtualModelWorkflow

WORKFLOWS = [
    *(RolloutWorkflow, ChangeTrafficWorkflow, ChangeVirtualModelWorkflow),
    *(GuardianWorkflow, CaretakerWorkflow),
    *(ServeWorkflow, DeployServiceWorkflow, PublishConfigWorkflow),
]
# Longer than the slowest write, shorter than a pod's usual grace period.
SHUTDOWN = timedelta(seconds=15)
# A look waits most of its time: memory limits how many there are, not the processor.
MOST_LOOKS = 2000
PATROL_SHIFT = timedelta(hours=1)


Activities = list[Callable[..., Any]]


def activities(clients: WorkerClients) -> tuple[Activities, Activities]:
    """What writes, and what looks for long."""
    workload = WorkloadActivities(clients.workloads)
    traffic = TrafficActivities(clients.router, clients.workloads, clients.counters)
    virtual = VirtualModelActivities(clients.virtual_models)
    record = RecordActivities(clients.journal)
    guard = GuardActivities(clients.patrol, clients.runs, shift=PATROL_SHIFT)
    notify = NotifyActivities(clients.notifier)
    fleet = FleetActivities(clients.fleet)
    care = CareActivities(clients.chores, clients.registry, clients.runs, shift=PATROL_SHIFT)
    analysis = AnalysisActivities(
        WatchPorts(
            counters=clients.counters,
            history=clients.history,
            evidence=clients.evidence,
            runtime=clients.workloads,
            router=clients.router,
            journal=clients.journal,
            comparing=ComparingPorts(answers=clients.answers, store=clients.comparisons),
            reading=ReadingPorts(
                queries=clients.queries,
                metrics=clients.metrics,
                web=clients.web,
                store=clients.readings,
            ),
        )
    )
    writes: Activities = [
        *(workload.deploy, workload.scale, workload.remove),
        *(traffic.connect, traffic.disconnect, traffic.shift, traffic.remove),
        *(virtual.check, virtual.write, virtual.remove),
        *(record.rollout, record.service_state, record.config_status),
        *(record.operation_ended, record.forget_service, fleet.leave),
    ]
    looks: Activities = [
        *(workload.await_ready, workload.await_replicas),
        *(traffic.settle, traffic.settle_shares, virtual.settle),
        *(analysis.watch, guard.patrol, care.look),
        *(notify.call, notify.confirm, fleet.await_clearance),
    ]
    return writes, looks


def workers(clients: WorkerClients, queue: str = TASK_QUEUE) -> tuple[Worker, Worker]:
    """One for workflows and writes, one for long looks that must never starve those."""
    writes, looks = activities(clients)
    common: dict[str, Any] = {
        "interceptors": [Heartbeats(), DomainFailures()],
        # A cancel reaches an activity with its next heartbeat: often enough for a rollback.
        "max_heartbeat_throttle_interval": timedelta(seconds=1),
        "activity_task_poller_behavior": PollerBehaviorAutoscaling(),
    }
    writer = Worker(
        clients.temporal,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=writes,
        workflow_runner=workflow_runner(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=SHUTDOWN,
        **common,
    )
    looker = Worker(
        clients.temporal,
        task_queue=watchers_of(queue),
        activities=looks,
        max_concurrent_activities=MOST_LOOKS,
        **common,
    )
    return writer, looker


async def post_guards(temporal: Client, queue: str = TASK_QUEUE) -> None:
    """Have the guardian and the caretaker run; all workers may ask, there is one of each."""
    await temporal.start_workflow(
        GuardianWorkflow.run,
        id=GUARDIAN_ID,
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="brings home traffic whose rollout was cut off",
    )
    await temporal.start_workflow(
        CaretakerWorkflow.run,
        id=CARETAKER_ID,
        task_queue=queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="takes over operations that were cut off, and retires former variants",
    )


async def main() -> None:
    settings = read_settings()
    log_to_stderr(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with worker_clients(settings, worker_runtime(settings)) as clients:
        writer, looker = workers(clients)
        async with writer, looker:
            await post_guards(clients.temporal)
            await stop.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - before there is a log
        os._exit(2)
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK's native threads can crash an interpreter that finalises under them.
    os._exit(0)
