"""Rows into the domain's things, and the domain's documents into JSON and back."""

from dataclasses import asdict, is_dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from adapters.postgres.database import Row
from domain.evidence.baseline import Baseline
from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, CountedArm, Counts, Interval
from domain.fleet import FreezeWindow, Group, QueueEntry, Span, Weekly
from domain.gate_templates.uses import TemplateUse
from domain.operations import Change, Operation, OperationPhase, Subject
from domain.plan import Plan, Policies
from domain.reading_gates import AnyGate
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    RegisteredModel,
    ServedModel,
    ServiceState,
    ServingEnvironment,
    TrafficConfig,
    TrafficStrategy,
    TrafficVariant,
)
from domain.rollout import Event, EventKind, Phase, Rollout
from domain.virtual_models import Backends, VirtualModel
from domain.workloads import Protocol, Workload

_PLAN = TypeAdapter(Plan)
_CURSOR: TypeAdapter[Cursor | ArmsCursor] = TypeAdapter(Cursor | ArmsCursor)
_BASELINE = TypeAdapter(Baseline)
_COUNTS = TypeAdapter(Counts)
_ARMS = TypeAdapter(tuple[CountedArm, ...])
_VARIANTS = TypeAdapter(tuple[TrafficVariant, ...])
_SERVED = TypeAdapter(tuple[ServedModel, ...])
_WORKLOADS = TypeAdapter(tuple[Workload, ...])
_VERSIONS = TypeAdapter(dict[str, UUID])
_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
_GATES: TypeAdapter[tuple[AnyGate, ...]] = TypeAdapter(tuple[AnyGate, ...])
_USES: TypeAdapter[tuple[TemplateUse, ...]] = TypeAdapter(tuple[TemplateUse, ...])
_POLICIES = TypeAdapter(Policies)
_BACKENDS: TypeAdapter[Backends] = TypeAdapter(Backends)
_TIMES: TypeAdapter[Span | Weekly] = TypeAdapter(Span | Weekly)
_PLANS_KEPT = 512
_NOT_OURS = frozenset({"total", "request_hash"})


def _columns(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_OURS}


def to_model(row: Row) -> RegisteredModel:
    return RegisteredModel(**_columns(row))


def to_version(row: Row) -> ModelVersion:
    return ModelVersion(**_columns(row))


def to_environment(row: Row) -> ServingEnvironment:
    return ServingEnvironment(**_columns(row))


def to_service(row: Row) -> InferenceService:
    columns = _columns(row)
    columns["protocol"] = Protocol(row["protocol"])
    columns["desired_state"] = ServiceState(row["desired_state"])
    columns["current_state"] = ServiceState(row["current_state"])
    columns["served_models"] = _SERVED.validate_json(row["served_models"] or "[]")
    columns["leaving"] = _WORKLOADS.validate_json(row["leaving"])
    return InferenceService(**columns)


def to_config(row: Row) -> TrafficConfig:
    columns = _columns(row)
    gates, policies = row["default_gates"], row["default_policies"]
    columns["protocol"] = Protocol(row["protocol"])
    columns["strategy"] = TrafficStrategy(row["strategy"])
    columns["status"] = ConfigStatus(row["status"])
    columns["default_gates"] = gates and _GATES.validate_json(gates)
    columns["default_gate_templates"] = _USES.validate_json(row["default_gate_templates"])
    columns["default_policies"] = policies and _POLICIES.validate_json(policies)
    columns["variants"] = _VARIANTS.validate_json(row["variants"] or "[]")
    return TrafficConfig(**columns)


def to_operation(row: Row) -> Operation:
    columns = _columns(row)
    columns["subject"] = Subject(row["subject"])
    columns["change"] = _CHANGE.validate_json(row["change"])
    columns["phase"] = OperationPhase(row["phase"])
    return Operation(**columns)


def to_virtual_model(row: Row) -> VirtualModel:
    columns = _columns(row)
    columns["backends"] = backends_of(row)
    return VirtualModel(**columns)


def backends_of(row: Row) -> Backends:
    return _BACKENDS.validate_json(row["backends"] or "[]")


def to_freeze_window(row: Row) -> FreezeWindow:
    columns = _columns(row)
    columns["times"] = _TIMES.validate_json(row["times"])
    columns["groups"] = None if row["groups"] is None else tuple(row["groups"])
    return FreezeWindow(**columns)


def to_group(row: Row) -> Group:
    return Group(**_columns(row))


def to_queue_entry(row: Row) -> QueueEntry:
    return QueueEntry(**row)


def to_rollout(row: Row) -> Rollout:
    columns = _columns(row)
    columns["plan"] = plan_of(row["plan"])
    columns["phase"] = Phase(row["phase"])
    return Rollout(**columns)


def to_event(row: Row) -> Event:
    columns = _columns(row)
    columns["kind"] = EventKind(row["kind"])
    columns["data"] = from_json(row["data"])
    return Event(**columns)


def to_interval(row: Row) -> Interval | ArmsInterval:
    if row["arms"] is not None:
        return ArmsInterval(
            sequence=row["sequence"],
            step=row["step"],
            opened_at=row["opened_at"],
            closed_at=row["closed_at"],
            arms=_ARMS.validate_json(row["arms"]),
            bounds_ms=tuple(row["bounds_ms"]),
            resets=row["resets"],
        )
    return Interval(
        sequence=row["sequence"],
        step=row["step"],
        weight=row["weight"],
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        candidate=_COUNTS.validate_json(row["candidate"]),
        stable=_COUNTS.validate_json(row["stable"]),
        bounds_ms=tuple(row["bounds_ms"]),
        resets=row["resets"],
    )


def counted_json(interval: Interval | ArmsInterval) -> tuple[str | None, str | None, str | None]:
    """The counts of the candidate and of stable, or of all arms: one of both is null."""
    if isinstance(interval, ArmsInterval):
        return None, None, _ARMS.dump_json(interval.arms).decode()
    counts = (interval.candidate, interval.stable)
    candidate, stable = (_COUNTS.dump_json(each).decode() for each in counts)
    return candidate, stable, None


def plan_json(plan: Plan) -> str:
    return _PLAN.dump_json(plan).decode()


@lru_cache(maxsize=_PLANS_KEPT)
def plan_of(document: str) -> Plan:
    """A plan is immutable and pinned, so the same document may give the same object."""
    return _PLAN.validate_json(document)


def workloads_json(workloads: tuple[Workload, ...]) -> str:
    return _WORKLOADS.dump_json(workloads).decode()


def change_json(change: Change) -> str:
    return _CHANGE.dump_json(change).decode()


def times_json(times: Span | Weekly) -> str:
    return _TIMES.dump_json(times).decode()


def gates_json(gates: tuple[AnyGate, ...] | None) -> str | None:
    return None if gates is None else _GATES.dump_json(gates).decode()


def uses_json(uses: tuple[TemplateUse, ...]) -> str:
    return _USES.dump_json(uses).decode()


def policies_json(policies: Policies | None) -> str | None:
    return None if policies is None else _POLICIES.dump_json(policies).decode()


def versions_of(document: str) -> dict[str, UUID]:
    return _VERSIONS.validate_json(document)


def cursor_json(cursor: Cursor | ArmsCursor) -> str:
    return _CURSOR.dump_json(cursor).decode()


def cursor_of(document: str) -> Cursor | ArmsCursor:
    return _CURSOR.validate_json(document)


def baseline_json(baseline: Baseline) -> str:
    return _BASELINE.dump_json(baseline).decode()


def baseline_of(document: str) -> Baseline:
    return _BASELINE.validate_json(document)


def data_json(data: dict[str, Any]) -> str:
    """An event's data. Infinities and NaN become null, for JSON has no word for them."""
    return to_json(_storable(data), inf_nan_mode="null").decode()


def text(words: str) -> str:
    """Words as PostgreSQL can store them: messages of other systems may hold anything."""
    whole = words.encode("utf-8", errors="replace").decode()
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _storable(value: Any) -> Any:
    match value:
        case str():
            return text(value)
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _storable(asdict(value))
        case _:
            return value
