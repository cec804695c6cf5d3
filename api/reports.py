"""Answers about metrics: which variants are meant, what they did, how they compare to stable."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from api.errors import broken
from api.measuring import Measured, Span, measure
from api.remembered import Remembered
from api.schemas.fields import Outgoing
from api.schemas.metrics import (
    ComparedVariantOut,
    ComparisonMetricsOut,
    ComparisonOut,
    DeploymentMetricsOut,
    GroupBy,
    TokensOut,
    VariantMetricsOut,
    charted,
)
from api.tokens import TokenFilter, usage
from domain.errors import NotFound
from domain.metrics import METRICS, Figures, MeasuredVariant, compare
from domain.ports import MetricsStore, Page, Registry, Survey
from domain.prices import TokenPrice
from domain.registry import InferenceService, TrafficConfig, TrafficVariant
from domain.serving import own_name

T = TypeVar("T", bound=Outgoing)
MAX_AGE_SECONDS = 5
FEWEST_COMPARED = 2
_NO_CONFIG = "the service has no traffic config, so the gateway does not count it by itself"
_NO_SLOT = "the variant holds no position in the gateway's route"
_NO_TRAFFIC = "no request was counted in the window"


class Reports:
    """Each answer is kept for MAX_AGE_SECONDS by project and question."""

    def __init__(
        self,
        registry: Registry,
        survey: Survey,
        store: MetricsStore,
        prices: Mapping[str, TokenPrice] | None = None,
    ) -> None:
        self._registry, self._survey, self._store = registry, survey, store
        self._prices = prices or {}
        self._kept: Remembered[Outgoing] = Remembered(MAX_AGE_SECONDS)

    async def deployment(
        self, project: UUID, service: str, span: Span, names: Sequence[str]
    ) -> DeploymentMetricsOut:
        """Raises NotFound for a service, and for a variant, that is not there."""

        async def ask() -> DeploymentMetricsOut:
            found = await self._service(project, service)
            return await self._deployment(found, span, names)

        return await self._once(("deployment", project, service, span, *names), ask)

    async def comparison(
        self, project: UUID, service: str | None, span: Span, names: Sequence[str]
    ) -> ComparisonMetricsOut:
        """Raises InvalidSpec where fewer than two variants, or several services, are meant."""

        async def ask() -> ComparisonMetricsOut:
            found = (
                await self._service_with(project, names)
                if service is None
                else await self._service(project, service)
            )
            return await self._comparison(found, span, names)

        if names and len(names) < FEWEST_COMPARED:
            raise broken("variant", "must name at least two variants, or none to compare all")
        return await self._once(("comparison", project, service, span, *names), ask)

    async def tokens(
        self, project: UUID, span: Span, wanted: TokenFilter, group_by: GroupBy
    ) -> TokensOut:
        async def ask() -> TokensOut:
            at = _now()
            bearers = await self._survey.token_bearers(project, at - span.window)
            chosen = [bearer for bearer in bearers if wanted.takes(bearer)]
            groups, totals = await usage(
                self._store, project, chosen, group_by, self._prices, at=at, window=span.window
            )
            return TokensOut(
                as_of=at,
                window_seconds=span.window.total_seconds(),
                max_age_seconds=MAX_AGE_SECONDS,
                group_by=group_by,
                groups=groups,
                totals=totals,
            )

        return await self._once(("tokens", project, span, wanted, group_by), ask)

    async def _once(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        answer: T = await self._kept.get(key, ask)  # type: ignore[assignment] # by its key
        return answer

    async def _deployment(
        self, service: InferenceService, span: Span, names: Sequence[str]
    ) -> DeploymentMetricsOut:
        config, at = await self._config(service), _now()
        if config is None:
            rows = await self._bare(service, span, at, names)
        else:
            chosen = _chosen(config, names)
            rows = await asyncio.gather(*(self._row(config, v, span, at) for v in chosen))
        return DeploymentMetricsOut(variants=rows, **_heading(service, config, span, at))

    async def _comparison(
        self, service: InferenceService, span: Span, names: Sequence[str]
    ) -> ComparisonMetricsOut:
        config, at = await self._config(service), _now()
        if config is None:
            raise NotFound(f"the inference service {service.name!r} has no variants to compare")
        chosen = _chosen(config, names)
        if len(chosen) < FEWEST_COMPARED:
            raise broken("variant", "needs two variants at least; the traffic config has one")
        measured = dict.fromkeys((*chosen, *filter(None, [config.stable])))
        rows = await asyncio.gather(*(self._row(config, v, span, at) for v in measured))
        by_name = {row.variant_name: row for row in rows}
        stable = by_name[config.stable.name] if config.stable else None
        return ComparisonMetricsOut(
            stable=stable,
            variants=[_compared(by_name[variant.name], stable) for variant in chosen],
            **_heading(service, config, span, at),
        )

    async def _service(self, project: UUID, wanted: str) -> InferenceService:
        """By id, else by name: a name may look like an id."""
        try:
            return await self._registry.service(project, UUID(wanted))
        except (ValueError, NotFound):
            found = await self._survey.service_named(project, wanted)
        if found is None:
            raise NotFound(f"there is no inference service {wanted!r} in this project")
        return await self._registry.service(project, found)

    async def _service_with(self, project: UUID, names: Sequence[str]) -> InferenceService:
        """The one whose traffic config has all of these variants."""
        found = await self._survey.configs_with(project, names) if names else ()
        if len(found) != 1:
            how_many = "several traffic configs have" if found else "no traffic config has"
            rule = f"must be named: {how_many} these variants" if names else "must be named"
            raise broken("inference_service", rule)
        config = await self._registry.config(project, found[0])
        return await self._registry.service(project, config.inference_service_id)

    async def _config(self, service: InferenceService) -> TrafficConfig | None:
        page = Page(limit=1, offset=0)
        found, _ = await self._registry.configs(service.project_id, page, service_id=service.id)
        return next(iter(found), None)

    async def _row(
        self, config: TrafficConfig, variant: TrafficVariant, span: Span, at: datetime
    ) -> VariantMetricsOut:
        counted = _counted(config, variant)
        measured = await measure(self._store, counted, span, at)
        return VariantMetricsOut(
            variant_name=variant.name,
            role=variant.role,
            status=variant.status,
            weight=variant.weight,
            model_version_id=variant.model_version_id,
            model_version_name=variant.model_version_name,
            kserve_isvc_name=variant.workload,
            **_told(measured, _NO_TRAFFIC if counted.route else _NO_SLOT),
        )

    async def _bare(
        self, service: InferenceService, span: Span, at: datetime, names: Sequence[str]
    ) -> list[VariantMetricsOut]:
        """A service without a traffic config: its one workload, as far as that counts itself."""
        if names:
            raise NotFound(f"the inference service {service.name!r} has no variant {names[0]!r}")
        workload = own_name(service)
        if workload is None:
            return []
        measured = await measure(self._store, MeasuredVariant(workload=workload), span, at)
        first = service.served_models[0]
        row = VariantMetricsOut(
            variant_name=None,
            role=None,
            status=None,
            weight=None,
            model_version_id=first.model_version_id,
            model_version_name=first.model_version_name,
            kserve_isvc_name=workload,
            **_told(measured, _NO_CONFIG),
        )
        return [row]


def _now() -> datetime:
    """A whole second, as the points of a chart have."""
    return datetime.now(UTC).replace(microsecond=0)


def _counted(config: TrafficConfig, variant: TrafficVariant) -> MeasuredVariant:
    if not variant.holds_slot:
        return MeasuredVariant(workload=variant.workload)
    return MeasuredVariant(
        workload=variant.workload,
        route=config.route,
        slot=variant.slot,
        since=variant.joined_at,
    )


def _chosen(config: TrafficConfig, names: Sequence[str]) -> tuple[TrafficVariant, ...]:
    """The named variants, else all that hold a slot. Raises NotFound that names who is missing."""
    by_name = {variant.name: variant for variant in config.variants}
    for name in names:
        if name not in by_name:
            model = config.inference_service_name
            raise NotFound(f"the traffic config of {model!r} has no variant {name!r}")
    return tuple(by_name[n] for n in names) or tuple(v for v in config.variants if v.holds_slot)


def _heading(
    service: InferenceService, config: TrafficConfig | None, span: Span, at: datetime
) -> dict[str, object]:
    return {
        "as_of": at,
        "window_seconds": span.window.total_seconds(),
        "step_seconds": span.step.total_seconds() if span.step else None,
        "max_age_seconds": MAX_AGE_SECONDS,
        "inference_service_id": service.id,
        "inference_service_name": service.name,
        "traffic_config_id": config.id if config else None,
    }


def _told(measured: Measured, reason: str) -> dict[str, object]:
    return {
        **asdict(measured.figures),
        "window_seconds": measured.window.total_seconds(),
        "reason": reason if measured.figures.requests is None else None,
        "series": None if measured.points is None else charted(measured.points),
    }


def _compared(row: VariantMetricsOut, stable: VariantMetricsOut | None) -> ComparedVariantOut:
    is_stable = stable is None or row.variant_name == stable.variant_name
    comparison = None if stable is None or is_stable else compare(_figures(row), _figures(stable))
    return ComparedVariantOut(
        **row.model_dump(),
        against_stable=None if comparison is None else ComparisonOut.from_domain(comparison),
    )


def _figures(row: VariantMetricsOut) -> Figures:
    return Figures(**row.model_dump(include=set(METRICS)))
