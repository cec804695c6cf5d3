"""Whole projects for tests of the registry: valid rows that refer to each other."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.evidence.counters import ArmCursor, ArmsCursor, Cursor, Owed
from domain.evidence.intervals import ArmsInterval, CountedArm, Counts, Interval
from domain.names import route_name, workload_name
from domain.plan import Plan, Variant
from domain.ports import Registry
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    RegisteredModel,
    Role,
    ServiceState,
    ServingEnvironment,
    TrafficConfig,
    TrafficStrategy,
    TrafficVariant,
    VariantStatus,
)
from domain.rollout import Entry, EventKind, Phase, Rollout, workflow_id
from domain.serving import served
from domain.strategies.canary import CanarySpec
from domain.strategies.canary_steps import CanaryStep
from domain.strategies.compiling import compile_plan
from domain.strategies.rules import Parties
from domain.traffic import Route
from domain.virtual_models import VirtualModel
from domain.virtual_models import route_name as virtual_route_name
from domain.workloads import Workload

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_model(project_id: UUID, **changes: Any) -> RegisteredModel:
    given: dict[str, Any] = {"id": uuid4(), "name": "chat", "created_at": NOW, "updated_at": NOW}
    return RegisteredModel(project_id=project_id, **(given | changes))


def a_version(model: RegisteredModel, **changes: Any) -> ModelVersion:
    given: dict[str, Any] = {
        "id": uuid4(),
        "name": "v1",
        "uri": "sim://chat?latency_ms=40",
        "model_format": "sim",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return ModelVersion(
        project_id=model.project_id, registered_model_id=model.id, **(given | changes)
    )


def an_environment(project_id: UUID, **changes: Any) -> ServingEnvironment:
    given: dict[str, Any] = {"id": uuid4(), "name": "prod", "created_at": NOW, "updated_at": NOW}
    return ServingEnvironment(project_id=project_id, **(given | changes))


def a_service(
    environment: ServingEnvironment, version: ModelVersion, **changes: Any
) -> InferenceService:
    given: dict[str, Any] = {
        "id": uuid4(),
        "name": "chat",
        "desired_state": ServiceState.DEPLOYED,
        "current_state": ServiceState.DEPLOYED,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return InferenceService(
        project_id=environment.project_id,
        serving_environment_id=environment.id,
        registered_model_id=version.registered_model_id,
        **(given | {"served_models": served((version,))} | changes),
    )


def a_config(
    environment: ServingEnvironment,
    service: InferenceService,
    version: ModelVersion,
    **changes: Any,
) -> TrafficConfig:
    """A config whose one variant, stable, carries all traffic in slot 0."""
    config_id = changes.pop("id", None) or uuid4()
    stable = TrafficVariant(
        id=uuid4(),
        config_id=config_id,
        name="stable",
        role=Role.STABLE,
        model_version_id=version.id,
        model_version_name=version.name,
        workload=workload_name(service.name, version.name, service.id, version.id),
        slot=0,
        weight=100,
        status=VariantStatus.ACTIVE,
        joined_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    given: dict[str, Any] = {
        "strategy": TrafficStrategy.CANARY,
        "status": ConfigStatus.ACTIVE,
        "variants": (stable,),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return TrafficConfig(
        id=config_id,
        project_id=service.project_id,
        inference_service_id=service.id,
        inference_service_name=service.name,
        protocol=service.protocol,
        namespace=environment.namespace,
        route_name=route_name(config_id),
        **(given | changes),
    )


def a_variant(
    config: TrafficConfig, version: ModelVersion, *, name: str = "candidate", slot: int = 1
) -> Variant:
    service_id = config.inference_service_id
    return Variant(
        name=name,
        version_id=version.id,
        version_name=version.name,
        slot=slot,
        workload=Workload(
            name=workload_name(config.inference_service_name, version.name, service_id, version.id),
            namespace=config.namespace,
            project_id=config.project_id,
            service_id=service_id,
            version_id=version.id,
            uri=version.uri,
            model_format=version.model_format,
            runtime=version.runtime,
        ),
    )


def a_plan(
    config: TrafficConfig, stable: Variant, candidate: Variant, spec: CanarySpec | None = None
) -> Plan:
    steps = tuple(CanaryStep(weight=w, soak=timedelta(minutes=5)) for w in (10, 50))
    route = Route(
        project_id=config.project_id,
        config_id=config.id,
        namespace=config.namespace,
        name=config.route_name,
        model=config.inference_service_name,
    )
    spec = spec or CanarySpec(steps=steps)
    return compile_plan(spec, Parties(route=route, stable=stable, candidate=candidate))


def a_rollout(plan: Plan, **changes: Any) -> Rollout:
    given: dict[str, Any] = {
        "id": uuid4(),
        "phase": Phase.PENDING,
        "phase_reason": "",
        "step": 0,
        "candidate_weight": 0,
        "actor": "ada",
        "reason": "a better model",
        "workflow_id": workflow_id(plan.route.config_id),
        "run_id": None,
        "created_at": NOW,
        "updated_at": NOW,
        "ended_at": None,
    }
    return Rollout(
        project_id=plan.route.project_id,
        config_id=plan.route.config_id,
        plan=plan,
        **(given | changes),
    )


def an_entry(key: str, kind: EventKind = EventKind.DECIDED, **changes: Any) -> Entry:
    given: dict[str, Any] = {"message": f"{kind} happened", "at": NOW + timedelta(minutes=1)}
    return Entry(key=key, kind=kind, **(given | changes))


def an_interval(sequence: int, **changes: Any) -> Interval:
    opened_at = NOW + timedelta(seconds=15 * sequence)
    given: dict[str, Any] = {
        "step": 2,
        "weight": 10,
        "opened_at": opened_at,
        "closed_at": opened_at + timedelta(seconds=15),
        "candidate": Counts(requests=100, errors=3, within=(40, 90), timed=98),
        "stable": Counts(requests=900, errors=9, within=(400, 890)),
        "bounds_ms": (0.5, 250.0),
        "resets": 1,
    }
    return Interval(sequence=sequence, **(given | changes))


def an_arms_interval(sequence: int, **changes: Any) -> ArmsInterval:
    """An interval of a trial between stable and b."""
    pair = an_interval(sequence)
    given: dict[str, Any] = {
        "step": pair.step,
        "opened_at": pair.opened_at,
        "closed_at": pair.closed_at,
        "arms": (
            CountedArm(arm="stable", weight=50, started=905, counts=pair.stable),
            CountedArm(arm="b", weight=50, started=101, counts=pair.candidate, tried=9, won=2),
        ),
        "bounds_ms": pair.bounds_ms,
        "resets": pair.resets,
    }
    return ArmsInterval(sequence=sequence, **(given | changes))


def an_arms_cursor(opened_at: datetime, *, division: int = 0) -> ArmsCursor:
    pair = a_cursor(opened_at)
    return ArmsCursor(
        step=pair.step,
        division=division,
        opened_at=pair.opened_at,
        arms={"stable": pair.stable, "b": pair.candidate},
    )


def a_cursor(opened_at: datetime | None = NOW, *, step: int = 2) -> Cursor:
    arm = ArmCursor(
        last={"requests/1": (NOW.timestamp() + 0.123, 17.0)},
        given_until=NOW.timestamp(),
        owed=Owed(requests=0.1, errors=1 / 3, timed=2.0, within=((0.5, 0.25),), resets=1),
    )
    return Cursor(
        step=step,
        opened_at=opened_at.timestamp() if opened_at else None,
        candidate=arm,
        stable=ArmCursor(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project with a served model, its traffic config and the plan of a canary to v2."""

    model: RegisteredModel
    v1: ModelVersion
    v2: ModelVersion
    v3: ModelVersion
    environment: ServingEnvironment
    service: InferenceService
    config: TrafficConfig
    plan: Plan
    id: UUID = field(default_factory=uuid4)

    async def store(self, registry: Registry) -> "Project":
        await registry.create_model(self.model)
        for version in (self.v1, self.v2, self.v3):
            await registry.create_version(version)
        await registry.create_environment(self.environment)
        await registry.create_service(self.service)
        await registry.create_config(self.config)
        return self

    async def start(self, registry: Registry, **changes: Any) -> Rollout:
        """A rollout of the plan, stored and not started yet."""
        return await registry.create_rollout(
            a_rollout(self.plan, **changes), idempotency_key=None, request_hash="hash"
        )


def a_project(**config_changes: Any) -> Project:
    project_id = uuid4()
    model = a_model(project_id)
    v1, v2, v3 = (a_version(model, name=name) for name in ("v1", "v2", "v3"))
    environment = an_environment(project_id)
    service = a_service(environment, v1)
    config = a_config(environment, service, v1, **config_changes)
    stable = replace(a_variant(config, v1), name="stable", slot=0)
    return Project(
        id=project_id,
        model=model,
        v1=v1,
        v2=v2,
        v3=v3,
        environment=environment,
        service=service,
        config=config,
        plan=a_plan(config, stable, a_variant(config, v2)),
    )


async def a_rollout_beside(registry: Registry, it: Project) -> Rollout:
    """One of another config of the project."""
    other = replace(a_project(), id=it.id)
    service = replace(
        other.service,
        id=uuid4(),
        name=f"chat-{uuid4()}",
        project_id=it.id,
        serving_environment_id=it.environment.id,
        registered_model_id=it.model.id,
        served_models=it.service.served_models,
    )
    await registry.create_service(service)
    config_id = uuid4()
    stable = replace(it.config.variants[0], id=uuid4(), config_id=config_id)
    config = replace(
        it.config,
        id=config_id,
        inference_service_id=service.id,
        inference_service_name=service.name,
        route_name=f"traffic-{config_id.hex}",
        variants=(stable,),
    )
    await registry.create_config(config)
    plan = replace(it.plan, route=config.route)
    return await replace(it, config=config, plan=plan).start(registry)


def a_virtual_model(project_id: UUID, **changes: Any) -> VirtualModel:
    given: dict[str, Any] = {
        "id": uuid4(),
        "name": f"claude-{uuid4().hex[:8]}",
        "namespace": "tidegate",
        "created_at": NOW,
        "updated_at": NOW,
    } | changes
    return VirtualModel(project_id=project_id, route_name=virtual_route_name(given["id"]), **given)
