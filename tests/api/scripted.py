"""A workflow engine that keeps what it was asked, and answers what a test tells it to."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.errors import Absent
from api.parts import RolloutControl
from domain.errors import AlreadyRunning, TidegateError
from domain.operations import Ending, Operation, OperationPhase
from domain.plan import Variant
from domain.registry import ConfigStatus, InferenceService, ServiceState, TrafficConfig
from domain.rollout import Action, Command, Phase, Rollout
from domain.workloads import Workload
from tests.api.staging import change
from tests.fakes.faults import Faults
from tests.fakes.journal import MemoryJournal
from tests.fakes.registry import MemoryRegistry
from workflows.messages import OperationView, Reply, RolloutView, ServeInput


class ScriptedControl(RolloutControl):
    """Workflows exist at once and do nothing, except that services and configs come up.

    `running` is the rollout that walks a workflow ID, `commands` what was asked of which rollout.
    `orders` are of inference services; with `holds` they stay where they were, with `refusal`
    they fail for it, and those in `serving` have a change that runs.
    """

    def __init__(self, registry: MemoryRegistry) -> None:
        self.running: dict[str, UUID] = {}
        self.commands: list[tuple[UUID, Action, Command]] = []
        self.deployed: list[Workload] = []
        self.orders: list[ServeInput] = []
        self.serving: set[UUID] = set()
        self.holds = False
        self.refusal = ""
        self.published: list[tuple[UUID, Variant]] = []
        self.publish_as = ConfigStatus.ACTIVE
        self.operations: list[Operation] = []
        self.ending: Ending | None = Ending(phase=OperationPhase.DONE, detail="seen")
        self.view: OperationView | None = None
        self.described = RolloutView(
            phase=Phase.PROGRESSING, reason="soaking", step=2, candidate_weight=10
        )
        self.hangs = False
        self._registry = registry
        self._faults = Faults()

    def fail(self, method: str, *errors: TidegateError) -> None:
        """Raise these on the next calls of that method."""
        self._faults.plan(method, errors)

    def outage(self, error: TidegateError | None) -> None:
        """Raise this on every call, until None."""
        self._faults.stand("any", error)

    async def ready(self) -> None:
        await self._strike("ready")

    async def serve(
        self, service: InferenceService, order: ServeInput, *, patience: timedelta = timedelta(0)
    ) -> None:
        await self._strike("serve")
        self.orders.append(order)
        if self.refusal:
            failed = {"current_state": ServiceState.FAILED, "state_reason": self.refusal}
            change(self._registry, InferenceService, service.id, **failed)
        if self.holds or self.refusal:
            return
        if order.forget:
            del self._registry.things[InferenceService][service.id]
            return
        if order.wanted:
            self.deployed.append(order.wanted)
        reached = ServiceState.DEPLOYED if order.wanted else ServiceState.UNDEPLOYED
        left = tuple(one for one in service.leaving if one not in order.leaving)
        change(self._registry, InferenceService, service.id, current_state=reached, leaving=left)

    async def stop_serving(self, service_id: UUID) -> bool:
        await self._strike("stop_serving")
        if service_id not in self.serving:
            return False
        self.serving.remove(service_id)
        cut_short = {"current_state": ServiceState.FAILED, "state_reason": "cancelled"}
        change(
            self._registry, InferenceService, service_id, updated_at=datetime.now(UTC), **cut_short
        )
        return True

    async def is_serving(self, service_id: UUID) -> bool:
        await self._strike("is_serving")
        return service_id in self.serving

    async def publish_config(
        self, config: TrafficConfig, stable: Variant, *, patience: timedelta
    ) -> None:
        await self._strike("publish_config")
        self.published.append((config.id, stable))
        reason = "the gateway refused" if self.publish_as is ConfigStatus.FAILED else ""
        change(
            self._registry, TrafficConfig, config.id, status=self.publish_as, status_reason=reason
        )

    async def start_rollout(self, rollout: Rollout) -> str:
        await self._strike("start_rollout")
        walker = self.running.setdefault(rollout.workflow_id, rollout.id)
        if walker != rollout.id:
            raise AlreadyRunning(rollout_id=str(walker))
        return f"run-of-{rollout.id}"

    async def command(self, rollout: Rollout, action: Action, command: Command) -> Reply:
        await self._strike("command")
        if self.running.get(rollout.workflow_id) != rollout.id:
            raise Absent
        self.commands.append((rollout.id, action, command))
        return Reply(phase=rollout.phase, message=f"{action} taken")

    async def see_end(self, rollout: Rollout, *, patience: timedelta) -> None:
        await self._strike("see_end")
        if self.holds:
            return
        now = datetime.now(UTC)
        change(self._registry, Rollout, rollout.id, phase=Phase.ROLLED_BACK, ended_at=now)
        self.running.pop(rollout.workflow_id, None)

    async def start_operation(self, operation: Operation) -> str:
        await self._strike("start_operation")
        self.operations.append(operation)
        return f"run-of-{operation.id}"

    async def outcome(
        self, operation: Operation, run_id: str, *, patience: timedelta
    ) -> Ending | None:
        await self._strike("outcome")
        if self.ending is not None:
            await MemoryJournal(self._registry).operation_ended(operation.id, self.ending)
        return self.ending

    async def operation_view(self, operation: Operation) -> OperationView | None:
        await self._strike("operation_view")
        return self.view

    async def describe(self, rollout: Rollout) -> RolloutView | None:
        await self._strike("describe")
        if self.running.get(rollout.workflow_id) != rollout.id:
            return None
        return self.described

    async def _strike(self, method: str) -> None:
        self._faults.strike(method)
        self._faults.strike("any")
        if self.hangs:
            await asyncio.Event().wait()
