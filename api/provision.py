"""Creating traffic configs: stored, then their route is published by a workflow.

Where the second half failed, a repeat of the same call takes it up again instead of being told that
the thing exists.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from api.errors import broken
from api.parties import variant
from api.parts import Parts
from api.schemas.gate_templates import uses_of
from api.schemas.gates import gates_of
from api.schemas.traffic import TrafficConfigIn
from api.templates import require_defaults
from domain.division import require_name
from domain.errors import AlreadyExists
from domain.names import route_name, workload_name
from domain.ports import Page, Registry
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    Role,
    ServingEnvironment,
    TrafficConfig,
    TrafficVariant,
    VariantStatus,
)

PUBLISH_PATIENCE = timedelta(seconds=10)


async def create_config(parts: Parts, project_id: UUID, wish: TrafficConfigIn) -> TrafficConfig:
    """Store the config and have its route published; come back with what became of it."""
    registry = parts.registry
    service = await registry.service(project_id, wish.inference_service_id)
    require_name("stable_variant_name", wish.stable_variant_name)
    stable_id = _stable_version(service, wish)
    environment = await registry.environment(project_id, service.serving_environment_id)
    version = await registry.version(project_id, stable_id)
    config = _config(service, environment, version, wish)
    await require_defaults(parts, config)
    await parts.control.ready()  # a config that nobody will publish is worth avoiding
    try:
        await registry.create_config(config)
    except AlreadyExists:
        existing = await _unpublished(registry, service)
        if existing is None:
            raise
        config = existing
    stable = variant(config, wish.stable_variant_name, 0, version)
    await parts.control.publish_config(config, stable, patience=PUBLISH_PATIENCE)
    return await registry.config(project_id, config.id)


def _stable_version(service: InferenceService, wish: TrafficConfigIn) -> UUID:
    """The version that all traffic starts with: the one that is served, or that was named."""
    served = service.model_version_ids
    if wish.stable_version_id is None:
        if len(served) > 1:
            rule = "is required: the inference service serves several versions"
            raise broken("stable_version_id", rule)
        return served[0]
    if wish.stable_version_id not in served:
        raise broken("stable_version_id", "must be a version that the inference service serves")
    return wish.stable_version_id


async def _unpublished(registry: Registry, service: InferenceService) -> TrafficConfig | None:
    """The config of the service, if its route was never published."""
    page = Page(limit=1, offset=0)
    found, _ = await registry.configs(service.project_id, page, service_id=service.id)
    return next((c for c in found if c.status is not ConfigStatus.ACTIVE), None)


def _config(
    service: InferenceService,
    environment: ServingEnvironment,
    version: ModelVersion,
    wish: TrafficConfigIn,
) -> TrafficConfig:
    now, config_id = datetime.now(UTC), uuid4()
    stable = TrafficVariant(
        id=uuid4(),
        config_id=config_id,
        name=wish.stable_variant_name,
        role=Role.STABLE,
        model_version_id=version.id,
        model_version_name=version.name,
        workload=workload_name(service.name, version.name, service.id, version.id),
        slot=0,
        weight=100,
        status=VariantStatus.ACTIVE,
        joined_at=now,
        created_at=now,
        updated_at=now,
    )
    policies = wish.default_policies
    return TrafficConfig(
        id=config_id,
        project_id=service.project_id,
        inference_service_id=service.id,
        inference_service_name=service.name,
        protocol=service.protocol,
        strategy=wish.strategy,
        status=ConfigStatus.PUBLISHING,
        default_gates=gates_of(wish.default_gates),
        default_gate_templates=uses_of(wish.default_gate_templates),
        default_policies=None if policies is None else policies.to_domain(),
        rollback_window=timedelta(seconds=wish.rollback_window_seconds),
        namespace=environment.namespace,
        route_name=route_name(config_id),
        variants=(stable,),
        created_at=now,
        updated_at=now,
    )
