"""The journal in memory: writes into a registry in memory."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from domain.division import FORMER_KEPT, former_stables
from domain.errors import AlreadyExists, Conflict, InvalidSpec, NotFound, Violation
from domain.operations import Ending, Operation, OperationPhase
from domain.plan import Variant
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    Role,
    ServiceState,
    TrafficConfig,
    TrafficVariant,
    VariantStatus,
)
from domain.rollout import Entry, Event, Rollout
from domain.serving import later, served
from domain.virtual_models import VirtualModelChange
from tests.fakes.registry import MemoryRegistry


class MemoryJournal:
    """`entries` keeps everything that was recorded, per rollout and in order."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.entries: dict[UUID, dict[str, Entry]] = {}
        self._registry = registry
        self._ids = count(1)

    async def record(self, rollout_id: UUID, entries: Sequence[Entry]) -> None:
        rollout = self._thing(Rollout, rollout_id)
        config = self._registry.things[TrafficConfig][rollout.config_id]
        known = dict(self.entries.get(rollout_id, {}))
        variants = {v.model_version_id: v for v in config.variants}
        fresh = []
        for entry in entries:
            if entry.key not in known:
                known[entry.key] = entry
                fresh.append(entry)
                _apply(entry, rollout, variants)
                rollout = _advanced(rollout, entry)
        _check(config.status, variants)
        self._keep(rollout, replace(config, variants=_by_slot(variants)), fresh)
        self.entries[rollout_id] = known
        async with self._registry.news:
            self._registry.news.notify_all()

    def _keep(self, rollout: Rollout, config: TrafficConfig, fresh: list[Entry]) -> None:
        things = self._registry.things
        things[Rollout][rollout.id], things[TrafficConfig][config.id] = rollout, config
        for entry in fresh:
            event = {n: getattr(entry, n) for n in ("kind", "message", "at", "step")}
            told = Event(
                id=next(self._ids), rollout_id=rollout.id, data=copy.deepcopy(entry.data), **event
            )
            self._registry.told[rollout.id].append(told)
            if entry.promoted:
                former, promoted = rollout.plan.stable, entry.promoted
                self._serve(config, former.version_id, promoted.version_id, entry.at)

    def _serve(
        self, config: TrafficConfig, former: UUID | None, version_id: UUID, at: datetime
    ) -> None:
        service = self._registry.things[InferenceService][config.inference_service_id]
        if service.model_version_ids == (former,):
            version = self._registry.things[ModelVersion][version_id]
            self._registry.change(service, served_models=served((version,)), updated_at=at)

    async def service_state(
        self, service_id: UUID, state: ServiceState, reason: str, gone: Sequence[str] = ()
    ) -> None:
        service = self._thing(InferenceService, service_id)
        self._registry.things[InferenceService][service_id] = replace(
            service,
            current_state=state,
            state_reason=reason,
            leaving=tuple(one for one in service.leaving if one.name not in gone),
            updated_at=later(service.updated_at, service.updated_at),
        )

    async def forget_service(self, service_id: UUID) -> None:
        service = self._registry.things[InferenceService].get(service_id)
        if service and service.desired_state is ServiceState.UNDEPLOYED:
            await self._registry.delete_service(service)

    async def config_status(self, config_id: UUID, status: ConfigStatus, reason: str) -> None:
        config = self._thing(TrafficConfig, config_id)
        _check(status, {v.model_version_id: v for v in config.variants})
        changed = replace(config, status=status, status_reason=reason)
        self._registry.things[TrafficConfig][config_id] = changed

    async def operation_ended(self, operation_id: UUID, ending: Ending) -> None:
        operation = self._thing(Operation, operation_id)
        if operation.phase.is_final or operation.phase is ending.phase:
            return
        done = ending.phase is not OperationPhase.UNDONE
        if done and operation.phase is OperationPhase.RUNNING:
            self._apply_change(operation)
        self._registry.change(
            operation,
            phase=ending.phase,
            problem=ending.problem,
            detail=ending.detail,
            ended_at=datetime.now(UTC) if ending.phase.is_final else None,
        )

    def _apply_change(self, operation: Operation) -> None:
        things, change = self._registry.things, operation.change
        if isinstance(change, VirtualModelChange):
            ids = (operation.project_id, operation.subject_id)
            self._registry.apply_virtual_change(*ids, change)
            return
        config = self._thing(TrafficConfig, operation.subject_id)
        if not change.after:
            del things[TrafficConfig][config.id]
            gone = [r.id for r in things[Rollout].values() if r.config_id == config.id]
            for rollout_id in gone:
                del things[Rollout][rollout_id]
            return
        variants = {v.model_version_id: v for v in change.after}
        _check(config.status, variants)
        things[TrafficConfig][config.id] = replace(
            config, variants=_by_slot(variants), updated_at=datetime.now(UTC)
        )
        if change.serves:
            former = next(
                (v.model_version_id for v in change.before if v.role is Role.STABLE), None
            )
            self._serve(config, former, change.serves, datetime.now(UTC))

    def _thing(self, kind: type, thing_id: UUID) -> Any:
        if thing_id not in self._registry.things[kind]:
            raise NotFound(f"there is no {kind.__name__} {thing_id} in this project")
        return self._registry.things[kind][thing_id]


Variants = dict[UUID, TrafficVariant]


def _apply(entry: Entry, rollout: Rollout, variants: Variants) -> None:
    plan = rollout.plan
    joined, promoted, left = entry.joined, entry.promoted, entry.left
    if joined and not _is_stable(variants, joined):
        _put(variants, joined, entry, rollout, name=joined.name, role=Role.CANDIDATE, weight=0)
    versions = {v.name: v.version_id for v in (plan.stable, *plan.challengers)}
    for name, weight in (entry.weights or {}).items():
        if name not in versions:
            raise InvalidSpec(Violation(f"weights.{name}", "is no variant of the rollout's plan"))
        if versions[name] in variants:
            _change(variants, versions[name], entry, weight=weight)
    if promoted:
        successor = variants.get(promoted.version_id)
        at = None if successor and successor.superseded_at else entry.at
        for version in variants.keys() - {promoted.version_id}:
            if variants[version].weight or variants[version].role is Role.STABLE:
                _change(variants, version, entry, weight=0, **_demoted(variants, version, at))
        _put(variants, promoted, entry, rollout, name="stable", role=Role.STABLE, weight=100)
    if left and not _is_stable(variants, left):
        _leave(variants, left, entry)


def _leave(variants: Variants, left: Variant, entry: Entry) -> None:
    known = variants.get(left.version_id)
    if known and known.role is Role.RETIRING:
        retired = replace(known, status=VariantStatus.RETIRED, retire_at=None, updated_at=entry.at)
        variants[left.version_id] = retired
    else:
        variants.pop(left.version_id, None)
    former = [v for v in former_stables(tuple(variants.values())) if not v.holds_slot]
    for forgotten in former[FORMER_KEPT:]:
        del variants[forgotten.model_version_id]


def _demoted(variants: Variants, version: UUID, at: datetime | None) -> dict[str, Any]:
    if variants[version].role is not Role.STABLE:
        return {}
    taken = {v.name for v in variants.values()}
    name = next(n for n in (f"old-stable-{i}" for i in count(1)) if n not in taken)
    return {
        "name": name,
        "role": Role.RETIRING,
        "status": VariantStatus.INACTIVE,
        "superseded_at": at,
    }


def _is_stable(variants: Variants, variant: Variant) -> bool:
    known = variants.get(variant.version_id)
    return known is not None and known.role is Role.STABLE


def _change(variants: Variants, version: UUID, entry: Entry, **changes: Any) -> None:
    if changes.get("weight"):
        changes["status"] = VariantStatus.ACTIVE
    variants[version] = replace(variants[version], updated_at=entry.at, **changes)


def _put(
    variants: Variants, variant: Variant, entry: Entry, rollout: Rollout, **given: Any
) -> None:
    known = variants.get(variant.version_id)
    is_stable = given["role"] is Role.STABLE
    variants[variant.version_id] = TrafficVariant(
        id=known.id if known else uuid4(),
        config_id=rollout.config_id,
        model_version_id=variant.version_id,
        model_version_name=variant.version_name,
        workload=variant.workload.name,
        slot=variant.slot,
        status=VariantStatus.ACTIVE,
        joined_at=_seated_since(known, variant, entry),
        superseded_at=None if known is None or is_stable else known.superseded_at,
        created_at=known.created_at if known else entry.at,
        updated_at=entry.at,
        **given,
    )


def _seated_since(known: TrafficVariant | None, variant: Variant, entry: Entry) -> datetime:
    keeps_slot = known is not None and known.holds_slot and known.slot == variant.slot
    return known.joined_at if known and keeps_slot else entry.at


def _by_slot(variants: Variants) -> tuple[TrafficVariant, ...]:
    return tuple(sorted(variants.values(), key=lambda v: (v.slot, v.created_at)))


def _check(status: ConfigStatus, variants: Variants) -> None:
    names = [v.name for v in variants.values()]
    slots = [v.slot for v in variants.values() if v.holds_slot]
    if len(set(names)) < len(names) or len(set(slots)) < len(slots):
        raise AlreadyExists(f"a name or a slot is taken: {names}, {slots}")
    active = [v.weight for v in variants.values() if v.status is VariantStatus.ACTIVE]
    if status is ConfigStatus.ACTIVE and sum(active) != 100:
        raise Conflict(f"the active weights sum to {sum(active)}, not 100")


def _advanced(rollout: Rollout, entry: Entry) -> Rollout:
    stable, weight = rollout.plan.stable.name, rollout.candidate_weight
    if entry.weights is not None:
        weight = sum(each for name, each in entry.weights.items() if name != stable)
    rollout = replace(
        rollout,
        step=rollout.step if entry.step is None else entry.step,
        candidate_weight=weight,
        run_id=entry.run_id or rollout.run_id,
        chosen=entry.promoted.name if entry.promoted else rollout.chosen,
        updated_at=max(rollout.updated_at, entry.at),
    )
    if entry.phase is None:
        return rollout
    return replace(
        rollout,
        phase=entry.phase,
        phase_reason=entry.message,
        ended_at=entry.at if entry.phase.is_final else None,
    )
