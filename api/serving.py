"""Inference services: stored as they are wished, then brought there by a workflow.

Where the second half did not begin, a repeat of the same call takes it up again. Two calls that
wish different things at once do not both win: the row is compared when it is written, and a change
that runs refuses another, except that to undeploy cuts a deployment short.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.parts import Parts
from api.rewrite import until_written
from api.schemas.services import InferenceServiceIn, InferenceServicePatch
from domain.errors import AlreadyExists, AlreadyRunning, NotFound, NotYet, Outdated, Refused
from domain.ports import Page, Registry
from domain.registry import InferenceService, ModelVersion, ServiceState
from domain.serving import (
    ServiceWish,
    Turn,
    own_workload,
    require_servable,
    set_moving,
    takes_away,
    turn,
    wished,
)
from domain.workloads import Workload
from workflows.messages import ServeInput

# How long a deletion waits for the cluster to let go.
DELETE_PATIENCE = timedelta(seconds=10)
# Longer than the call that starts a workflow may take.
_BEGINS_WITHIN = timedelta(seconds=15)
_DEPLOY = ServiceWish(desired_state=ServiceState.DEPLOYED)
_UNDEPLOY = ServiceWish(desired_state=ServiceState.UNDEPLOYED)


async def create_service(
    parts: Parts, project_id: UUID, wish: InferenceServiceIn
) -> InferenceService:
    """Store the service and have it deployed; come back while it is still deploying."""
    registry = parts.registry
    await registry.environment(project_id, wish.serving_environment_id)
    model = await registry.model(project_id, wish.registered_model_id)
    versions = await _versions(registry, project_id, wish.model_version_ids)
    require_servable(model.id, versions)
    service = wish.to_domain(project_id, versions, datetime.now(UTC))
    await parts.control.ready()  # a service that nobody will deploy is worth avoiding
    try:
        await registry.create_service(service)
    except AlreadyExists:
        existing = await _unfinished(registry, service)
        if existing is None:
            raise
        return await _steered(parts, existing, _DEPLOY)
    # Read only now that nobody can change the namespace: the service stands in it.
    workload = await _workload(registry, service)
    await parts.control.serve(service, ServeInput(service_id=service.id, wanted=workload))
    return service


async def change_service(
    parts: Parts, project_id: UUID, service_id: UUID, patch: InferenceServicePatch
) -> InferenceService:
    """Store what is wished and have the cluster follow; come back while it does.

    Raises AlreadyRunning while another change runs, InUse where a traffic config needs what would
    go.
    """

    async def attempt() -> InferenceService:
        service = await parts.registry.service(project_id, service_id)
        if not patch.model_fields_set:
            return service
        versions = await _versions(parts.registry, project_id, patch.model_version_ids)
        if versions:
            require_servable(service.registered_model_id, versions)
        return await _steered(parts, service, patch.to_domain(versions))

    return await until_written(attempt)


async def delete_service(parts: Parts, project_id: UUID, service_id: UUID) -> None:
    """Undeploy the service and forget it once the cluster has let go of it.

    Raises InUse while it has a traffic config, NotYet when the cluster takes its time, Refused when
    it will not.
    """
    registry = parts.registry

    async def attempt() -> InferenceService | None:
        service = await registry.service(project_id, service_id)
        if service.current_state is ServiceState.UNDEPLOYED and not service.leaving:
            await registry.delete_service(service)
            return None
        return await _steered(parts, service, _UNDEPLOY, forget=True)

    going = await until_written(attempt)
    if going is not None:
        await _require_gone(registry, going)


async def _require_gone(registry: Registry, going: InferenceService) -> None:
    try:
        left = await registry.service(going.project_id, going.id)
    except NotFound:
        return
    if left.current_state is ServiceState.FAILED:
        raise Refused(f"inference service {left.name!r} was not undeployed: {left.state_reason}")
    held = ", ".join(workload.name for workload in going.leaving)
    raise NotYet(
        f"the cluster has not let go of {held} yet; inference service {left.name!r} goes when it "
        "has, and a repeat of this call does no harm"
    )


async def _steered(
    parts: Parts, service: InferenceService, wish: ServiceWish, *, forget: bool = False
) -> InferenceService:
    """Store the wish, and have it carried out where it means something for the cluster."""
    registry, verdict = parts.registry, turn(service, wish)
    if verdict is Turn.BUSY:
        await _make_way(parts, service, wish)
    unused = forget or takes_away(service, wish)
    after = wished(service, wish, datetime.now(UTC))
    if verdict is Turn.NOTHING and not forget:
        await registry.change_service(service, after, unused=unused)
        return after
    is_up = after.desired_state is ServiceState.DEPLOYED
    own = await _workload(registry, after) if is_up else None
    after = set_moving(after, former=await _workload(registry, service), own=own)
    await parts.control.ready()  # what nobody will carry out is not worth storing
    await registry.change_service(service, after, unused=unused)
    leaving = await _free_to_go(registry, after, unused=unused)
    order = ServeInput(service_id=service.id, wanted=own, leaving=leaving, forget=forget)
    patience = DELETE_PATIENCE if forget else timedelta(0)
    await parts.control.serve(after, order, patience=patience)
    return after


async def _make_way(parts: Parts, service: InferenceService, wish: ServiceWish) -> None:
    """Return where nobody carries out the change that the row tells of, else raise.

    To undeploy cuts a deployment short, which may take half an hour to fail: Outdated, look again.
    Anything else waits, also for what was stored so lately that it may yet begin: AlreadyRunning.
    """
    cuts_short = (
        wish.desired_state is ServiceState.UNDEPLOYED
        and service.current_state is ServiceState.DEPLOYING
        and not await _has_config(parts.registry, service)
    )
    if cuts_short and await parts.control.stop_serving(service.id):
        raise Outdated(f"inference service {service.name!r} was just deploying; ask again")
    is_fresh = datetime.now(UTC) - service.updated_at < _BEGINS_WITHIN
    if is_fresh or await parts.control.is_serving(service.id):
        raise AlreadyRunning(
            f"inference service {service.name!r} is {service.current_state}; "
            "wait until that has ended"
        )


async def _free_to_go(
    registry: Registry, service: InferenceService, *, unused: bool
) -> tuple[Workload, ...]:
    """What may be taken away: nothing beside a traffic config, whose variants may be among it."""
    return service.leaving if unused or not await _has_config(registry, service) else ()


async def _has_config(registry: Registry, service: InferenceService) -> bool:
    page = Page(limit=1, offset=0)
    _, configs = await registry.configs(service.project_id, page, service_id=service.id)
    return configs > 0


async def _unfinished(registry: Registry, wanted: InferenceService) -> InferenceService | None:
    """The service of the same name, if it is the same in all else and is not deployed yet."""
    page = Page(limit=1, offset=0)
    found, _ = await registry.services(wanted.project_id, page, name=wanted.name)
    for service in found:
        alike = (
            service.serving_environment_id == wanted.serving_environment_id
            and service.served_models == wanted.served_models
            and service.desired_state is wanted.desired_state
        )
        unfinished = service.current_state is not ServiceState.DEPLOYED
        return service if alike and unfinished else None
    return None


async def _workload(registry: Registry, service: InferenceService) -> Workload:
    """The workload that the service has of its own."""
    environment = await registry.environment(service.project_id, service.serving_environment_id)
    versions = await _versions(registry, service.project_id, service.model_version_ids)
    return own_workload(service, environment.namespace, versions)


async def _versions(
    registry: Registry, project_id: UUID, ids: Sequence[UUID]
) -> tuple[ModelVersion, ...]:
    return tuple([await registry.version(project_id, one) for one in ids])
