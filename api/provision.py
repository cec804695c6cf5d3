"""Creating what is deployed: inference services and the routes of traffic configs.

Each is stored, then handed to a workflow. Where the second half failed, a repeat of the same call
takes it up again instead of being told that the thing exists.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from api.errors import broken
from api.launch import variant
from api.parts import Parts
from api.schemas.plans import gates_of
from api.schemas.registry import InferenceServiceIn
from api.schemas.traffic import TrafficConfigIn
from domain.division import require_name
from domain.errors import AlreadyExists
from domain.names import route_name, workload_name
from domain.plan import Policies
from domain.ports import Page, Registry
from domain.registry import (
    ConfigStatus,
    InferenceService,
    ModelVersion,
    Role,
    ServiceState,
    ServingEnvironment,
    TrafficConfig,
    TrafficVariant,
    VariantStatus,
)
from domain.strategies.canary import require_defaults
from domain.workloads import Workload

PUBLISH_PATIENCE = timedelta(seconds=10)


async def create_service(
    parts: Parts, project_id: UUID, wish: InferenceServiceIn
) -> InferenceService:
    """Store the service and have it deployed; come back while it is still deploying."""
    registry = parts.registry
    service = wish.to_domain(project_id, datetime.now(UTC))
    environment = await registry.environment(project_id, wish.serving_environment_id)
    model = await registry.model(project_id, wish.registered_model_id)
    version = await registry.version(project_id, wish.model_version_id)
    if version.registered_model_id != model.id:
        raise broken("model_version_id", "must be a version of the registered model")
    await parts.control.ready()  # a service that nobody will deploy is worth avoiding
    try:
        await registry.create_service(service)
    except AlreadyExists:
        existing = await _undeployed(registry, service)
        if existing is None:
            raise
        service = existing
    await parts.control.deploy_service(service, _workload(service, environment, version))
    return service


async def create_config(parts: Parts, project_id: UUID, wish: TrafficConfigIn) -> TrafficConfig:
    """Store the config and have its route published; come back with what became of it."""
    registry = parts.registry
    service = await registry.service(project_id, wish.inference_service_id)
    require_name("stable_variant_name", wish.stable_variant_name)
    if wish.stable_version_id not in (None, service.model_version_id):
        raise broken("stable_version_id", "must be the version that the inference service runs")
    environment = await registry.environment(project_id, service.serving_environment_id)
    version = await registry.version(project_id, service.model_version_id)
    config = _config(service, environment, version, wish)
    require_defaults(config.default_gates or (), config.default_policies or Policies())
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


async def _undeployed(registry: Registry, wanted: InferenceService) -> InferenceService | None:
    """The service of the same name, if it is the same in all else and is not deployed yet."""
    offset, total = 0, 1
    while offset < total:
        page = Page(limit=100, offset=offset)
        found, total = await registry.services(
            wanted.project_id, page, environment_id=wanted.serving_environment_id
        )
        for service in found:
            if service.name == wanted.name:
                alike = service.model_version_id == wanted.model_version_id
                unfinished = service.current_state is not ServiceState.DEPLOYED
                return service if alike and unfinished else None
        offset += max(len(found), 1)
    return None


async def _unpublished(registry: Registry, service: InferenceService) -> TrafficConfig | None:
    """The config of the service, if its route was never published."""
    page = Page(limit=1, offset=0)
    found, _ = await registry.configs(service.project_id, page, service_id=service.id)
    return next((c for c in found if c.status is not ConfigStatus.ACTIVE), None)


def _workload(
    service: InferenceService, environment: ServingEnvironment, version: ModelVersion
) -> Workload:
    return Workload(
        name=workload_name(service.name, version.name, service.id, version.id),
        namespace=environment.namespace,
        project_id=service.project_id,
        service_id=service.id,
        version_id=version.id,
        uri=version.uri,
        model_format=version.model_format,
        runtime=version.runtime,
    )


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
        strategy=wish.strategy,
        status=ConfigStatus.PUBLISHING,
        default_gates=gates_of(wish.default_gates),
        default_policies=None if policies is None else policies.to_domain(),
        rollback_window=timedelta(seconds=wish.rollback_window_seconds),
        namespace=environment.namespace,
        route_name=route_name(config_id),
        variants=(stable,),
        created_at=now,
        updated_at=now,
    )
