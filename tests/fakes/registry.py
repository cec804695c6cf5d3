"""The registry in memory, with the refusals of the real one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from domain.errors import AlreadyRunning, Conflict, Outdated
from domain.operations import ALWAYS, Operation, OperationPhase
from domain.ports import Chores, Page, Patrol, Registry
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    ServiceState,
    TrafficConfig,
    TrafficStrategy,
)
from domain.rollout import Event, Phase, Rollout
from domain.virtual_models import VirtualModelChange
from tests.fakes.catalog import MemoryCatalog
from tests.fakes.virtual_models import MemoryVirtualModels

T = TypeVar("T")


class MemoryRegistry(MemoryCatalog, MemoryVirtualModels, Registry, Patrol, Chores):
    """`told` has the events by rollout; `MemoryJournal` writes into it and into `things`.

    `news` is notified when a history has grown.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[UUID, list[Event]] = defaultdict(list)
        self.news = asyncio.Condition()
        self._keys: dict[tuple[UUID, str], tuple[str, UUID]] = {}

    async def create_config(self, config: TrafficConfig) -> None:
        self.require_no_virtual_model(config.inference_service_name)
        service = self._get(InferenceService, config.project_id, config.inference_service_id)
        for variant in config.variants:
            self._get(ModelVersion, config.project_id, variant.model_version_id)
        if service.desired_state is not ServiceState.DEPLOYED:
            raise Conflict(f"the inference service {service.name!r} is undeployed")
        if config.stable and config.stable.model_version_id not in service.model_version_ids:
            raise Outdated(f"the inference service {service.name!r} serves other versions by now")
        self._add(config, lambda c: c.inference_service_id)

    async def config(self, project_id: UUID, config_id: UUID) -> TrafficConfig:
        return self._get(TrafficConfig, project_id, config_id)

    async def configs(
        self,
        project_id: UUID,
        page: Page,
        *,
        service_id: UUID | None = None,
        strategy: TrafficStrategy | None = None,
        status: ConfigStatus | None = None,
    ) -> tuple[Sequence[TrafficConfig], int]:
        return self._list(
            TrafficConfig,
            project_id,
            page,
            inference_service_id=service_id,
            strategy=strategy,
            status=status,
        )

    async def set_config(self, config: TrafficConfig) -> None:
        known = self._get(TrafficConfig, config.project_id, config.id)
        self.change(
            known,
            strategy=config.strategy,
            paused=config.paused,
            default_gates=config.default_gates,
            default_gate_templates=config.default_gate_templates,
            default_policies=config.default_policies,
            rollback_window=config.rollback_window,
            updated_at=max(known.updated_at, config.updated_at),
        )

    async def begin(self, operation: Operation) -> None:
        if isinstance(operation.change, VirtualModelChange):
            ids = (operation.project_id, operation.subject_id)
            self.require_unchanged(*ids, operation.change)
        else:
            await self._require_at_rest(operation)
        if await self.live_operation(operation.project_id, operation.subject_id):
            raise AlreadyRunning("another operation on the same thing has not ended")
        self._add(operation, lambda o: o.id)

    async def _require_at_rest(self, operation: Operation) -> None:
        config = self._get(TrafficConfig, operation.project_id, operation.subject_id)
        rollout = await self.live_rollout(operation.project_id, operation.subject_id)
        if rollout is not None:
            message = "a rollout of this traffic config has not ended"
            raise AlreadyRunning(message, rollout_id=str(rollout.id))
        if set(config.variants) != set(operation.change.before):
            raise Outdated("the traffic was changed just now; ask again")
        if config.paused and operation.change.kind not in ALWAYS:
            raise Outdated("the traffic config was paused just now")
        if operation.change.after and config.status is not ConfigStatus.ACTIVE:
            raise Conflict(f"the traffic config is {config.status}, not active")

    async def discard(self, operation: Operation) -> None:
        known = self.things[Operation].get(operation.id)
        if known is not None and known.project_id != operation.project_id:
            return
        if known is not None and known.phase is OperationPhase.RUNNING:
            del self.things[Operation][operation.id]

    async def operation(self, project_id: UUID, operation_id: UUID) -> Operation:
        return self._get(Operation, project_id, operation_id)

    async def operations(
        self, project_id: UUID, page: Page, *, subject_id: UUID | None = None
    ) -> tuple[Sequence[Operation], int]:
        return self._list(Operation, project_id, page, subject_id=subject_id)

    async def live_operation(self, project_id: UUID, subject_id: UUID) -> Operation | None:
        return next(
            (
                o
                for o in await self.running()
                if (o.project_id, o.subject_id) == (project_id, subject_id)
            ),
            None,
        )

    async def running(self) -> Sequence[Operation]:
        found = [o for o in self.things[Operation].values() if not o.phase.is_final]
        return tuple(sorted(found, key=lambda o: (o.created_at, o.id)))

    async def due(self) -> Sequence[TrafficConfig]:
        now = datetime.now(UTC)
        busy = {o.subject_id for o in await self.running()}
        busy |= {rollout.config_id for rollout in await self.unfinished()}
        return tuple(
            config
            for config in self.things[TrafficConfig].values()
            if any(v.retire_at and v.retire_at <= now for v in config.variants)
            and config.id not in busy
            and config.status is ConfigStatus.ACTIVE
            and not config.paused
        )

    async def create_rollout(
        self, rollout: Rollout, *, idempotency_key: str | None, request_hash: str
    ) -> Rollout:
        key = (rollout.project_id, idempotency_key or str(rollout.id))
        if known := self._keys.get(key):
            if known[0] != request_hash:
                raise Conflict(f"the idempotency key {key[1]!r} was used for another request")
            return self._get(Rollout, rollout.project_id, known[1])
        config = self._get(TrafficConfig, rollout.project_id, rollout.config_id)
        if operation := await self.live_operation(rollout.project_id, rollout.config_id):
            message = f"the operation {operation.summary!r} has not ended"
            raise AlreadyRunning(message, operation_id=str(operation.id))
        stable, version = config.stable, rollout.plan.stable.version_id
        if config.paused:
            raise Outdated("the traffic config was paused just now")
        plan, candidate = rollout.plan, rollout.plan.candidate
        held = {(v.workload, v.slot) for v in config.variants if v.holds_slot}
        planned = {(v.workload.name, v.slot) for v in (plan.stable, *plan.bystanders)}
        moved = stable and (stable.model_version_id != version or stable.weight < 100)
        if moved or held - {(candidate.workload.name, candidate.slot)} != planned:
            raise Outdated("the traffic was changed just now; ask again")
        if await self.live_rollout(rollout.project_id, rollout.config_id):
            raise AlreadyRunning("another rollout of this traffic config has not ended")
        self._add(rollout, lambda r: r.id)
        self._keys[key] = (request_hash, rollout.id)
        return rollout

    async def discard_rollout(self, project_id: UUID, rollout_id: UUID) -> None:
        rollout = self.things[Rollout].get(rollout_id)
        if rollout and rollout.project_id == project_id:
            if rollout.phase is not Phase.PENDING:
                raise Conflict(f"the rollout {rollout_id} has started and cannot be forgotten")
            del self.things[Rollout][rollout_id]
            self._keys = {k: known for k, known in self._keys.items() if known[1] != rollout_id}

    async def rollout(self, project_id: UUID, rollout_id: UUID) -> Rollout:
        return self._get(Rollout, project_id, rollout_id)

    async def rollouts(
        self,
        project_id: UUID,
        page: Page,
        *,
        config_id: UUID | None = None,
        phase: Phase | None = None,
    ) -> tuple[Sequence[Rollout], int]:
        return self._list(Rollout, project_id, page, config_id=config_id, phase=phase)

    async def live_rollout(self, project_id: UUID, config_id: UUID) -> Rollout | None:
        everything = Page(limit=len(self.things[Rollout]), offset=0)
        found, _ = self._list(Rollout, project_id, everything, config_id=config_id)
        return next((rollout for rollout in found if not rollout.phase.is_final), None)

    async def events(
        self, project_id: UUID, rollout_id: UUID, *, after: int, limit: int
    ) -> Sequence[Event]:
        self._get(Rollout, project_id, rollout_id)
        return tuple(self._behind(rollout_id, after)[:limit])

    async def follow(
        self, project_id: UUID, rollout_id: UUID, *, after: int
    ) -> AsyncIterator[Event]:
        self._get(Rollout, project_id, rollout_id)
        while True:
            async with self.news:
                while not (told := self._behind(rollout_id, after)):
                    await self.news.wait()
            for event in told:
                after = event.id
                yield event

    async def ready(self) -> None:
        return None

    async def unfinished(self) -> Sequence[Rollout]:
        live = [r for r in self.things[Rollout].values() if not r.phase.is_final]
        return tuple(sorted(live, key=lambda r: (r.created_at, r.id)))

    def _behind(self, rollout_id: UUID, after: int) -> list[Event]:
        return [event for event in self.told[rollout_id] if event.id > after]
