"""From what a person asks of a traffic config to the operation that does it.

The rules are the domain's: each is a function from the present variants to those that are wished.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from api.busy import in_the_way
from api.errors import broken
from api.operations import carried_out
from api.parts import Parts
from api.schemas.traffic import Asked
from domain.division import Newcomer
from domain.errors import AlreadyRunning, Conflict
from domain.operations import ALWAYS, ChangeKind, Operation, Subject, traffic_change
from domain.ports import Registry
from domain.registry import ConfigStatus, ServiceState, TrafficConfig, Variants

Rule = Callable[[TrafficConfig, datetime], Variants]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A change that somebody asks for; `what` says in words what is to be done."""

    kind: ChangeKind
    rule: Rule
    asked: Asked
    what: str


async def changed(
    parts: Parts, project_id: UUID, config_id: UUID, wish: Wish
) -> tuple[TrafficConfig, Operation | None]:
    """Have what the rule gives in force, and give the config as it is then.

    A rule that changes nothing needs no operation.
    """

    async def propose() -> Operation:
        config = await parts.registry.config(project_id, config_id)
        after = await _wished(parts.registry, config, wish)
        return await operation_of(parts.registry, config, after, wish)

    config = await parts.registry.config(project_id, config_id)
    if set(await _wished(parts.registry, config, wish)) == set(config.variants):
        return config, None
    operation = await carried_out(parts, propose)
    return await parts.registry.config(project_id, config_id), operation


async def _wished(registry: Registry, config: TrafficConfig, wish: Wish) -> Variants:
    """What the rule makes of the variants. What does not fit while somebody is at work is busy."""
    _require_open(config, wish.kind)
    try:
        return wish.rule(config, datetime.now(UTC))
    except Conflict as error:
        busy = AlreadyRunning()
        named = await in_the_way(registry, config.project_id, config.id, busy)
        raise (error if named is busy else named) from error


async def deleted_config(parts: Parts, project_id: UUID, config_id: UUID, asked: Asked) -> None:
    """Take the route away, and with it the config and every variant but the service's own."""

    async def propose() -> Operation:
        config = await parts.registry.config(project_id, config_id)
        wish = Wish(
            kind=ChangeKind.DELETE_CONFIG,
            rule=lambda *_: (),
            asked=asked,
            what=f"delete the traffic config of {config.inference_service_name}",
        )
        return await operation_of(parts.registry, config, (), wish)

    await carried_out(parts, propose)


async def newcomer(registry: Registry, config: TrafficConfig, version_id: UUID) -> Newcomer:
    """A version of the model that the config serves. Raises InvalidSpec for one of another."""
    version = await registry.version(config.project_id, version_id)
    service = await registry.service(config.project_id, config.inference_service_id)
    if version.registered_model_id != service.registered_model_id:
        raise broken("model_version_id", "must be a version of the model that is served")
    return Newcomer(
        id=uuid4(),
        version_id=version.id,
        version_name=version.name,
        workload=config.workload(version).name,
    )


async def operation_of(
    registry: Registry, config: TrafficConfig, after: Variants, wish: Wish
) -> Operation:
    """The operation that brings the config's variants to `after`."""
    versions = [
        await registry.version(config.project_id, version_id)
        for version_id in {v.model_version_id for v in (*config.variants, *after) if v.holds_slot}
    ]
    stays = "" if after else await _own_workload(registry, config)
    change = traffic_change(wish.kind, config, after, versions, stays=stays)
    return Operation(
        id=uuid4(),
        project_id=config.project_id,
        subject=Subject.TRAFFIC_CONFIG,
        subject_id=config.id,
        summary=wish.what,
        change=change,
        actor=wish.asked.actor,
        reason=wish.asked.reason,
        created_at=datetime.now(UTC),
    )


async def _own_workload(registry: Registry, config: TrafficConfig) -> str:
    """The stable variant's workload, where it is the inference service's own and is to stay."""
    service = await registry.service(config.project_id, config.inference_service_id)
    stable = config.stable
    if stable is None or service.desired_state is not ServiceState.DEPLOYED:
        return ""
    return stable.workload if service.model_version_ids == (stable.model_version_id,) else ""


def _require_open(config: TrafficConfig, kind: ChangeKind) -> None:
    if config.status is not ConfigStatus.ACTIVE:
        because = f": {config.status_reason}" if config.status_reason else ""
        raise Conflict(f"the traffic config is {config.status}, not active{because}")
    if config.paused and kind not in ALWAYS:
        raise Conflict("the traffic config is paused; unpause it, or roll back")
