"""Between whom a rollout goes on: the variants of its plan, from the registry and the wish."""

from collections.abc import AsyncIterator, Sequence

from api.errors import broken
from api.schemas.rollouts import Challenger
from domain.plan import Variant
from domain.ports import Registry
from domain.registry import ModelVersion, TrafficConfig, TrafficVariant
from domain.strategies.rules import Parties
from domain.traffic import free_slot


async def parties_of(
    registry: Registry,
    config: TrafficConfig,
    stable: TrafficVariant,
    wanted: Sequence[Challenger],
) -> Parties:
    """The parties, each in a slot of its own.

    Raises InvalidSpec for a version or a name that cannot come in, NotFound for a version that the
    project does not have.
    """
    before = await registry.version(config.project_id, stable.model_version_id)
    taken = [v.slot for v in config.variants if v.holds_slot]
    challengers: list[Variant] = []
    for wish in wanted:
        version = await _version(registry, config, before, wish)
        known = next((v for v in config.variants if v.model_version_id == version.id), None)
        holds = known is not None and known.holds_slot
        slot = known.slot if known is not None and holds else free_slot(taken)
        taken.append(slot)
        challengers.append(variant(config, wish.name, slot, version))
    candidate, *others = challengers
    return Parties(
        route=config.route,
        stable=variant(config, stable.name, stable.slot, before, workload=stable.workload),
        candidate=candidate,
        others=tuple(others),
        bystanders=tuple([one async for one in _bystanders(registry, config, stable, wanted)]),
    )


async def _version(
    registry: Registry, config: TrafficConfig, before: ModelVersion, wish: Challenger
) -> ModelVersion:
    version = await registry.version(config.project_id, wish.version_id)
    if version.registered_model_id != before.registered_model_id:
        raise broken(wish.version_at, "must be a version of the model that stable serves")
    namesakes = [v for v in config.variants if v.name == wish.name and v is not config.stable]
    if any(v.model_version_id != version.id for v in namesakes):
        raise broken(wish.name_at, f"{wish.name!r} names another variant already")
    return version


async def _bystanders(
    registry: Registry,
    config: TrafficConfig,
    stable: TrafficVariant,
    wanted: Sequence[Challenger],
) -> AsyncIterator[Variant]:
    """The variants that hold a slot and have no part in the rollout."""
    coming = {wish.version_id for wish in wanted}
    for one in config.variants:
        if one.holds_slot and one is not stable and one.model_version_id not in coming:
            version = await registry.version(config.project_id, one.model_version_id)
            yield variant(config, one.name, one.slot, version, workload=one.workload)


def variant(
    config: TrafficConfig,
    name: str,
    slot: int,
    version: ModelVersion,
    *,
    workload: str | None = None,
) -> Variant:
    """A version in its slot; its workload is named by our rule unless it has a name already."""
    return Variant(
        name=name,
        version_id=version.id,
        version_name=version.name,
        slot=slot,
        workload=config.workload(version, workload),
    )
