"""The variants of a traffic config and their weights: looked at, and changed at once.

Each change answers once the gateway obeys, with the config as it is then.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from api.changes import Wish, changed, newcomer
from api.contract import ENGINE, READS, problems
from api.parts import Id, Parts, ProjectId, WithParts
from api.rendering import rendered
from api.routes import PREFIX
from api.routes.operations import shown
from api.schemas.traffic import (
    Asked,
    CanaryIn,
    CanaryWeightPatch,
    TrafficConfigOut,
    TrafficVariantOut,
    VariantIn,
    VariantPatch,
    Variants,
    WeightsPatch,
)
from domain import division
from domain.division import CANARY
from domain.operations import ChangeKind
from domain.registry import TrafficConfig
from domain.registry import Variants as DomainVariants

router = APIRouter(prefix=f"{PREFIX}/traffic_configs/{{config_id}}", tags=["traffic"])
VariantName = Annotated[str, Path(max_length=253, description="The variant's name.")]
_WAITS = (
    " Answers once the requests show it, or the gateway confirms it where none come by; what "
    "cannot be done is taken back, and the answer says why."
)


@router.post(
    "/variants",
    status_code=201,
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Add a variant; its weight is taken from stable",
    description="Deploys the version beside the others first." + _WAITS,
)
async def add_variant(
    parts: WithParts, project: ProjectId, config_id: Id, body: VariantIn
) -> Response:
    config = await parts.registry.config(project, config_id)
    new = await newcomer(parts.registry, config, body.model_version_id)

    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.added(
            config.variants, new, name=body.variant_name, weight=body.weight, now=now
        )

    what = f"add {body.variant_name} at {body.weight} %"
    wish = Wish(kind=ChangeKind.ADD_VARIANT, rule=rule, asked=body, what=what)
    return await _answer(parts, project, config_id, wish, status=201)


@router.get(
    "/variants",
    response_model=Variants,
    responses=problems(*READS),
    summary="List the variants, those that were retired included",
)
async def list_variants(parts: WithParts, project: ProjectId, config_id: Id) -> Response:
    config = await parts.registry.config(project, config_id)
    listed = [TrafficVariantOut.from_domain(variant) for variant in config.variants]
    return rendered(Variants(config_id=config.id, variants=listed, total=len(listed)))


@router.get(
    "/variants/{variant_name}",
    response_model=TrafficVariantOut,
    responses=problems(*READS),
    summary="One variant",
)
async def get_variant(
    parts: WithParts, project: ProjectId, config_id: Id, variant_name: VariantName
) -> Response:
    config = await parts.registry.config(project, config_id)
    return rendered(TrafficVariantOut.from_domain(division.named(config.variants, variant_name)))


@router.patch(
    "/variants/{variant_name}",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Change a variant's weight, which stable gives or takes, or its name",
    description="One that was retired is deployed again first." + _WAITS,
)
async def change_variant(
    parts: WithParts,
    project: ProjectId,
    config_id: Id,
    variant_name: VariantName,
    body: VariantPatch,
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        variants = config.variants
        division.named(variants, variant_name)
        if body.weight is not None:
            variants = division.weighed(variants, {variant_name: body.weight}, now=now)
        if body.variant_name is not None:
            variants = division.renamed(variants, variant_name, body.variant_name, now=now)
        return variants

    what = f"change {variant_name}"
    wish = Wish(kind=ChangeKind.CHANGE_VARIANT, rule=rule, asked=body, what=what)
    return await _answer(parts, project, config_id, wish)


@router.delete(
    "/variants/{variant_name}",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Take a variant away; stable takes over its weight",
    description="It is drained before it leaves the cluster." + _WAITS,
)
async def delete_variant(
    parts: WithParts, project: ProjectId, config_id: Id, variant_name: VariantName
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.deleted(config.variants, variant_name, now=now)

    what = f"delete {variant_name}"
    wish = Wish(kind=ChangeKind.DELETE_VARIANT, rule=rule, asked=Asked(), what=what)
    return await _answer(parts, project, config_id, wish)


@router.patch(
    "/weights",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Set the weights of several variants in one write",
    description="All of them or none." + _WAITS,
)
async def set_weights(
    parts: WithParts, project: ProjectId, config_id: Id, body: WeightsPatch
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.weighed(config.variants, body.weights, now=now)

    what = "set the weights: " + ", ".join(f"{n} {w} %" for n, w in body.weights.items())[:400]
    wish = Wish(kind=ChangeKind.SET_WEIGHTS, rule=rule, asked=body, what=what)
    return await _answer(parts, project, config_id, wish)


@router.post(
    "/promote/{variant_name}",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Make an active variant stable, with all traffic",
    description="The others stand by for the rollback window, then they are retired." + _WAITS,
)
async def promote_variant(
    parts: WithParts,
    project: ProjectId,
    config_id: Id,
    variant_name: VariantName,
    body: Asked | None = None,
) -> Response:
    return await _promoted(parts, project, config_id, variant_name, body or Asked())


@router.post(
    "/rollback",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Send all traffic to stable; where it has all, back to the stable before it",
    description=(
        "At once while the one before is kept, else it is deployed again first. A rollout that "
        "runs is aborted by its own call." + _WAITS
    ),
)
async def roll_back(
    parts: WithParts, project: ProjectId, config_id: Id, body: Asked | None = None
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.rolled_back(config.variants, now=now, window=config.rollback_window)

    wish = Wish(
        kind=ChangeKind.ROLL_BACK, rule=rule, asked=body or Asked(), what="send all traffic back"
    )
    return await _answer(parts, project, config_id, wish)


@router.post(
    "/canary",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Add a variant called canary, at 10 % unless told otherwise",
    description="For one that advances by itself on its evidence, start a rollout." + _WAITS,
)
async def start_canary(
    parts: WithParts, project: ProjectId, config_id: Id, body: CanaryIn
) -> Response:
    division.require_canary_weight(body.initial_weight)
    config = await parts.registry.config(project, config_id)
    new = await newcomer(parts.registry, config, body.model_version_id)

    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.added(
            config.variants, new, name=CANARY, weight=body.initial_weight, now=now
        )

    what = f"start a canary of {new.version_name} at {body.initial_weight} %"
    wish = Wish(kind=ChangeKind.ADD_VARIANT, rule=rule, asked=body, what=what)
    return await _answer(parts, project, config_id, wish)


@router.patch(
    "/canary/weight",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Change the canary's weight",
    description="Stable gives or takes." + _WAITS,
)
async def set_canary_weight(
    parts: WithParts, project: ProjectId, config_id: Id, body: CanaryWeightPatch
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        division.named(config.variants, CANARY)
        return division.weighed(config.variants, {CANARY: body.weight}, now=now)

    what = f"set the canary to {body.weight} %"
    wish = Wish(kind=ChangeKind.SET_WEIGHTS, rule=rule, asked=body, what=what)
    return await _answer(parts, project, config_id, wish)


@router.post(
    "/canary/promote",
    response_model=TrafficConfigOut,
    responses=problems(*ENGINE),
    summary="Make the canary stable, with all traffic",
    description="As promoting any variant." + _WAITS,
)
async def promote_canary(
    parts: WithParts, project: ProjectId, config_id: Id, body: Asked | None = None
) -> Response:
    return await _promoted(parts, project, config_id, CANARY, body or Asked())


async def _promoted(
    parts: Parts, project: UUID, config_id: UUID, name: str, asked: Asked
) -> Response:
    def rule(config: TrafficConfig, now: datetime) -> DomainVariants:
        return division.promoted(config.variants, name, now=now, window=config.rollback_window)

    wish = Wish(kind=ChangeKind.PROMOTE, rule=rule, asked=asked, what=f"promote {name}")
    return await _answer(parts, project, config_id, wish)


async def _answer(
    parts: Parts, project: UUID, config_id: UUID, wish: Wish, *, status: int = 200
) -> Response:
    config, operation = await changed(parts, project, config_id, wish)
    done = None if operation is None else shown(parts, operation)
    return rendered(TrafficConfigOut.from_domain(config, done), status=status)
