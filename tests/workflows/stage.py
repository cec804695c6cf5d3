"""One rollout on a stage: the real workflow and activities, fakes at the ports, and a prompter.

Settling and watching are prompted: a test says what they find. Everything else is the real code.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.worker import Replayer, Worker

from activities.analysis import WatchOrder, asks_anew
from activities.care import CareActivities
from activities.failures import DomainFailures
from activities.fleet import FleetActivities
from activities.guard import GuardActivities
from activities.heartbeats import Heartbeats, say
from activities.notify import NotifyActivities
from activities.record import RecordActivities
from activities.shares import SharesOrder
from activities.traffic import SettleOrder, TrafficActivities
from activities.workload import WorkloadActivities
from adapters.temporal.runs import TemporalRuns
from bootstrap.sandboxing import workflow_runner
from domain.decision import decide
from domain.evidence.counters import Reading
from domain.operations import Ending, Operation
from domain.plan import Plan
from domain.progress import Acted, ActState, Hold, Seen
from domain.rollout import Command, Entry, EventKind, Rollout
from domain.story import weight_of
from domain.traffic import Ownership
from domain.verdicts import Status
from tests.fakes.counters import ScriptedCounters
from tests.fakes.fleet import MemoryFleet
from tests.fakes.journal import MemoryJournal
from tests.fakes.notifier import ScriptedNotifier
from tests.fakes.registry import MemoryRegistry
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime
from tests.plans import verdict
from workflows.caretaker import CaretakerWorkflow
from workflows.guardian import GuardianWorkflow
from workflows.messages import Mode, RolloutInput, watchers_of
from workflows.operation import ChangeTrafficWorkflow
from workflows.provisioning import DeployServiceWorkflow, PublishConfigWorkflow
from workflows.rollout import RolloutWorkflow
from workflows.serving import ServeWorkflow

WORKFLOWS = [
    *(RolloutWorkflow, ChangeTrafficWorkflow, GuardianWorkflow, CaretakerWorkflow),
    *(ServeWorkflow, DeployServiceWorkflow, PublishConfigWorkflow),
]
SOON = timedelta(seconds=1)
SHIFT, ROUND = timedelta(seconds=30), timedelta(milliseconds=100)
BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
ANA = Command(actor="ana", reason="a test")
PASSED = Seen(verdicts=(verdict(Status.PASS),))
FAILED = Seen(verdicts=(verdict(Status.FAIL, reason="Errors are 3 times stable's."),))


class Journal:
    """Keeps entries, each key once, and answers errors on demand.

    Endings of operations that the registry knows reach it.
    """

    def __init__(self, registry: MemoryRegistry | None = None) -> None:
        self._registry = registry
        self.entries: list[Entry] = []
        self.states: list[tuple[str, str]] = []
        self.gone: list[str] = []
        self.forgotten: list[UUID] = []
        self.endings: dict[UUID, Ending] = {}
        self.trouble: Exception | None = None

    async def record(self, rollout_id, entries) -> None:
        if self.trouble:
            raise self.trouble
        known = {entry.key for entry in self.entries}
        self.entries += [entry for entry in entries if entry.key not in known]

    async def service_state(self, service_id, state, reason, gone=()) -> None:
        self.states.append((str(state), reason))
        self.gone += gone

    async def forget_service(self, service_id) -> None:
        self.forgotten.append(service_id)

    async def config_status(self, config_id, status, reason) -> None:
        self.states.append((str(status), reason))

    async def operation_ended(self, operation_id, ending) -> None:
        if self.trouble:
            raise self.trouble
        self.endings[operation_id] = ending
        if self._registry and operation_id in self._registry.things[Operation]:
            await MemoryJournal(self._registry).operation_ended(operation_id, ending)

    @property
    def kinds(self) -> list[EventKind]:
        return [entry.kind for entry in self.entries]

    @property
    def phases(self) -> list[str]:
        return [str(entry.phase) for entry in self.entries if entry.phase]


class PromptedTraffic(TrafficActivities):
    """Real writes; whether the traffic obeys is what the test says, by weight."""

    def __init__(self, router, runtime, settles: Callable[[Any], Acted | None]) -> None:
        super().__init__(
            router, runtime, ScriptedCounters(lambda n: Reading(candidate=(), stable=()))
        )
        self._settles = settles
        self.settle_orders: list[SettleOrder] = []
        self.shares_orders: list[SharesOrder] = []

    @activity.defn(name="traffic.settle")
    async def settle(self, order: SettleOrder) -> Acted:
        self.settle_orders.append(order)
        while (acted := self._settles(order)) is None:  # noqa: ASYNC110 - tests flip plain values
            await asyncio.sleep(0.02)
        return acted

    @activity.defn(name="traffic.settle_shares")
    async def settle_shares(self, order: SharesOrder) -> Acted:
        self.shares_orders.append(order)
        while (acted := self._settles(order)) is None:  # noqa: ASYNC110 - tests flip plain values
            await asyncio.sleep(0.02)
        return acted


class PromptedAnalysis:
    """Sees what the test lets it see; returns, like the real one, when that calls for something."""

    def __init__(self) -> None:
        self.shown: Callable[[WatchOrder], Seen] = lambda order: PASSED
        self.watching: WatchOrder | None = None
        self.watches = 0
        self.must_report = False  # once, as a watch does at `report_at`
        self.report: Callable[[WatchOrder], Awaitable[Seen]] | None = None

    @activity.defn(name="analysis.watch")
    async def watch(self, order: WatchOrder) -> Seen:
        self.watching, self.watches = order, self.watches + 1
        if self.report is not None:
            return await self.report(order)
        began = time.monotonic()
        while True:
            seen = self.shown(order)
            say("watching")
            # The server's time may be far ahead of ours; while an activity runs it goes as fast.
            now = order.progress.acted.at + timedelta(seconds=time.monotonic() - began)
            decision = decide(order.plan, replace(order.progress, seen=seen), now)
            is_due, self.must_report = self.must_report, False
            if is_due or not isinstance(decision, Hold) or asks_anew(decision, order.progress):
                return seen
            await asyncio.sleep(0.02)


class Stage:
    def __init__(self, client) -> None:
        self.client = client
        self.queue = f"test-{uuid4()}"
        self.registry = MemoryRegistry()
        self.router, self.runtime = RecordingRouter(), ScriptedRuntime()
        self.journal = Journal(self.registry)
        self.notifier, self.fleet = ScriptedNotifier(), MemoryFleet(self.registry)
        self.analysis = PromptedAnalysis()
        self.settles: Callable[[Any], Acted | None] = lambda order: done()
        self.traffic = PromptedTraffic(self.router, self.runtime, lambda order: self.settles(order))  # noqa: PLW0108 - replaced later
        self.live: list[Rollout] = []
        self._stack = AsyncExitStack()
        self.handle: Any = None

    async def __aenter__(self) -> Self:
        await self._start_workers()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self.handle and exc[0] is None:
            await self.replays()
        await self._stack.aclose()

    async def _start_workers(self) -> None:
        acts = [
            *methods(self.traffic), *methods(WorkloadActivities(self.runtime)),
            *methods(self.analysis), *methods(RecordActivities(self.journal)),
            *methods(NotifyActivities(self.notifier)),
            *methods(FleetActivities(self.fleet, every=ROUND)),
            *methods(GuardActivities(self, TemporalRuns(self.client), shift=SHIFT, every=ROUND)),
            *methods(CareActivities(self.registry, self.registry, TemporalRuns(self.client), shift=SHIFT, every=ROUND)),
        ]  # fmt: skip
        both = [Heartbeats(), DomainFailures()]
        common: dict[str, Any] = {"interceptors": both, "max_heartbeat_throttle_interval": SOON}
        await self._stack.enter_async_context(
            Worker(
                self.client, task_queue=self.queue, workflows=WORKFLOWS, activities=acts,
                workflow_runner=workflow_runner(), sticky_queue_schedule_to_start_timeout=SOON, **common,
            )
        )  # fmt: skip
        await self._stack.enter_async_context(
            Worker(self.client, task_queue=watchers_of(self.queue), activities=acts, **common)
        )

    async def restart_workers(self) -> None:
        """Have both workers die and others come up, which know nothing of what went on."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()
        await self._start_workers()

    async def start(
        self,
        plan: Plan,
        *,
        mode: Mode = Mode.WALK,
        promoted: bool = False,
        chosen: str = "",
    ) -> Any:
        """Start with stable deployed, connected and carrying all traffic."""
        stable = plan.stable.workload
        if mode is Mode.WALK:
            self.runtime.deployed[stable.namespace, stable.name] = stable
            await self.router.connect(plan.route, stable)
            owner = Ownership(holder="config", ordered_at=BEFORE, run_id="publish", sequence=1)
            await self.router.write(plan.route, plan.slots_of(plan.stable), owner)
        self.plan = plan
        self.rollout_id = str(uuid4())
        order = RolloutInput(
            rollout_id=UUID(self.rollout_id),
            plan=plan,
            actor="ana",
            reason="a test",
            mode=mode,
            promoted=promoted,
            chosen=chosen,
        )
        self.handle = await self.client.start_workflow(
            RolloutWorkflow.run, order, id=f"traffic-{plan.route.config_id}", task_queue=self.queue
        )
        return self.handle

    async def unfinished(self) -> list[Rollout]:
        """What the guardian is told by the registry."""
        return self.live

    async def until(self, happened: Callable[[], bool], what: str = "") -> None:
        """Wait, in real time, for something that must come."""
        for _ in range(600):
            if happened():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"waited in vain for {what or happened}; told: {self.journal.kinds}")

    async def soaking_at(self, weight: int) -> None:
        def soaks() -> bool:
            watching = self.analysis.watching
            return (
                watching is not None
                and weight_of(watching.plan.steps[watching.progress.step]) == weight
            )

        await self.until(soaks, f"a soak at {weight} %")

    @property
    def weights(self) -> list[tuple[int, ...]]:
        """The weights of every write, by slot, after stable was published."""
        return [
            tuple(slot.weight for slot in write.slots or ()) for write in self.router.writes[1:]
        ]

    async def replays(self) -> None:
        """Whatever happened, the history that it left must replay."""
        history = await self.handle.fetch_history()
        replayer = Replayer(
            workflows=WORKFLOWS, workflow_runner=workflow_runner(),
            data_converter=self.client.data_converter,
        )  # fmt: skip
        await replayer.replay_workflow(history)


def methods(owner: object) -> list[Callable[..., Any]]:
    """The activities among an object's methods."""
    found = (getattr(owner, name) for name in dir(owner) if not name.startswith("_"))
    return [method for method in found if hasattr(method, "__temporal_activity_definition")]


def done(detail: str = "10.0 % of 1,000 requests observed") -> Acted:
    return Acted(state=ActState.DONE, at=datetime.now(UTC), detail=detail)


def acted(state: ActState, detail: str) -> Acted:
    return Acted(state=state, at=datetime.now(UTC), detail=detail)
