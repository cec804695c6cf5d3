"""The registry as metrics look over it, in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from domain.ports import Survey
from domain.registry import InferenceService, TrafficConfig, TrafficVariant
from domain.rollout import Rollout
from domain.serving import own_name
from domain.survey import (
    Standing,
    StandingRollouts,
    StandingVariant,
    StandingVerdict,
    TokenBearer,
)
from domain.verdicts import Status
from tests.fakes.registry import MemoryRegistry


class MemorySurvey(Survey):
    def __init__(self, registry: MemoryRegistry) -> None:
        self._things = registry.things
        self._told = registry.told

    async def service_named(self, project_id: UUID, name: str) -> UUID | None:
        return next(
            (
                each.id
                for each in self._things[InferenceService].values()
                if (each.project_id, each.name) == (project_id, name)
            ),
            None,
        )

    async def configs_with(self, project_id: UUID, variants: Sequence[str]) -> Sequence[UUID]:
        found = [
            config
            for config in self._configs(project_id)
            if set(variants) <= {variant.name for variant in config.variants}
        ]
        found.sort(key=lambda config: (-config.created_at.timestamp(), config.id))
        return tuple(config.id for config in found[:2])

    async def token_bearers(self, project_id: UUID, since: datetime) -> Sequence[TokenBearer]:
        divided = {
            TokenBearer(model=config.inference_service_name, variant=name, workload=workload)
            for config in self._configs(project_id)
            for name, workload in self._bearers(config, since)
        }
        ordered = sorted(divided, key=lambda b: (b.model, b.variant or "", b.workload))
        return (*ordered, *self._bare(project_id))

    async def standing(self, since: datetime) -> Standing:
        configs = list(self._things[TrafficConfig].values())
        return Standing(
            variants=tuple(
                _standing(config, variant)
                for config in configs
                for variant in config.variants
                if variant.holds_slot
            ),
            rollouts=tuple(each for config in configs for each in self._counts(config, since)),
            verdicts=tuple(each for config in configs for each in self._verdicts(config, since)),
        )

    def _configs(self, project_id: UUID) -> list[TrafficConfig]:
        return [c for c in self._things[TrafficConfig].values() if c.project_id == project_id]

    def _rollouts(self, config: TrafficConfig) -> list[Rollout]:
        found = [r for r in self._things[Rollout].values() if r.config_id == config.id]
        return sorted(found, key=lambda rollout: rollout.created_at, reverse=True)

    def _bearers(self, config: TrafficConfig, since: datetime) -> Iterator[tuple[str, str]]:
        present = {variant.workload: variant.name for variant in config.variants}
        yield from ((name, workload) for workload, name in present.items())
        for rollout in self._rollouts(config):
            if rollout.ended_at is None or rollout.ended_at >= since:
                for variant in (rollout.plan.stable, *rollout.plan.challengers):
                    if variant.workload.name not in present:
                        yield variant.name, variant.workload.name

    def _bare(self, project_id: UUID) -> Iterator[TokenBearer]:
        divided = {config.inference_service_id for config in self._configs(project_id)}
        services = self._things[InferenceService].values()
        for each in sorted(services, key=lambda service: service.name):
            is_bare = each.project_id == project_id and each.id not in divided
            if is_bare and (workload := own_name(each)):
                yield TokenBearer(model=each.name, variant=None, workload=workload)

    def _counts(self, config: TrafficConfig, since: datetime) -> Iterator[StandingRollouts]:
        counts = Counter(
            (rollout.plan.strategy, rollout.phase)
            for rollout in self._rollouts(config)
            if rollout.created_at > since or not rollout.phase.is_final
        )
        for (strategy, phase), count in counts.items():
            yield StandingRollouts(
                project_id=config.project_id,
                model=config.inference_service_name,
                strategy=strategy,
                phase=phase,
                count=count,
            )

    def _verdicts(self, config: TrafficConfig, since: datetime) -> Iterator[StandingVerdict]:
        for rollout in self._rollouts(config)[:1]:
            if rollout.created_at <= since and rollout.phase.is_final:
                return
            told = (e.data.get("verdict") for e in self._told[rollout.id])
            verdicts = {one.named: one.status for one in told if one is not None}
            for gate, status in verdicts.items():
                yield StandingVerdict(
                    project_id=config.project_id,
                    model=config.inference_service_name,
                    gate=gate,
                    status=Status(status),
                )


def _standing(config: TrafficConfig, variant: TrafficVariant) -> StandingVariant:
    return StandingVariant(
        route=config.route,
        name=variant.name,
        role=variant.role,
        version=variant.model_version_name,
        workload=variant.workload,
        slot=variant.slot,
        weight=variant.weight,
    )
