"""Looks ahead at a plan: reads what stable does now, and says what its gates will take and find."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from api.errors import broken
from api.rendering import as_json
from api.schemas.gates import GateBody
from api.schemas.outlooks import (
    AnalysisPlanIn,
    AnalysisPlanOut,
    StepOutlookOut,
    TrafficSeenOut,
)
from domain.errors import Refused
from domain.evidence.base_rates import counted
from domain.evidence.baseline import BEFORE, Baseline, History, bounds_of, measured, unmeasured
from domain.evidence.intervals import Interval
from domain.evidence_port import CounterSource, StableHistory
from domain.gates import Metric
from domain.meters import GATEWAY, Meter, meter_of, meters_of
from domain.metrics import NOTHING, SHORTEST, MeasuredVariant, Measurement
from domain.outlook import PlanOutlook, stays_of
from domain.outlook_words import StepOutlook
from domain.plan import Plan
from domain.ports import MetricsStore
from domain.registry import TrafficVariant
from domain.traffic import Place
from domain.traffic_seen import Counted, traffic_seen

# Their counts are summed here, sample by sample; the gateway's are by the store, over any time.
OTHERS_LOOK_BACK = timedelta(hours=6)
ASKED = "the field phi"
# Half a minute of a core; several times that where no gate on a time names its bound.
MOST_STAYS = 10_000
_STABLE = "stable"


def require_bounded(plan: Plan, wish: AnalysisPlanIn) -> None:
    """Hold the outlooks that are asked for to what can be computed. Raises InvalidSpec."""
    stays = stays_of(plan, len(set(wish.other_weights)))
    if stays > MOST_STAYS:
        rule = (
            f"must be fewer, or the gates: the outlooks rest on {stays:,} stays in all, and "
            f"{MOST_STAYS:,} is the most"
        )
        raise broken("other_weights" if stays_of(plan, 0) <= MOST_STAYS else "steps", rule)


class Outlooks:
    """Raises Unreachable while the metrics store cannot answer, Refused when it will not."""

    def __init__(
        self, metrics: MetricsStore, counters: CounterSource, history: StableHistory
    ) -> None:
        self._metrics, self._counters, self._history = metrics, counters, history

    async def on(
        self, plan: Plan, wish: AnalysisPlanIn, stable: TrafficVariant, at: datetime
    ) -> bytes:
        """An AnalysisPlanOut as JSON."""
        variant = MeasuredVariant(
            workload=stable.workload, route=plan.route, slot=stable.slot, since=stable.joined_at
        )
        window = variant.window(at, timedelta(seconds=wish.window_seconds))
        measurement = await self._measured(variant, at, window)
        meters = {
            meter: await self._counted(plan, meter, window) for meter in meters_of(plan.gates)
        }
        baseline = await self._baseline(plan, wish.phi)
        seen = traffic_seen(
            plan.gates, Counted(measured=measurement, window=window, meters=meters), baseline
        )
        ahead = PlanOutlook(plan, seen, weights=wish.other_weights)
        steps = await asyncio.to_thread(_listed, ahead)
        answer = AnalysisPlanOut(
            traffic=TrafficSeenOut.from_domain(seen, plan.gates, at),
            gates=[GateBody.from_domain(gate) for gate in plan.gates],
            phi=baseline.phi,
            phi_source=baseline.phi_source,
            warm_up_seconds=plan.policies.warm_up.total_seconds(),
            steps=[StepOutlookOut.from_domain(step) for step in steps],
        )
        return as_json(answer)

    async def _measured(
        self, variant: MeasuredVariant, at: datetime, window: timedelta
    ) -> Measurement:
        if window < SHORTEST:
            return NOTHING
        return await self._metrics.measure(variant, at=at, window=window)

    async def _counted(self, plan: Plan, meter: Meter, window: timedelta) -> Interval | str:
        """What another meter than the gateway's counted of stable, or why that is not known."""
        try:
            read = await self._counters.read_workloads(
                plan.route,
                meter,
                workloads={_STABLE: plan.stable.workload.name},
                window=max(SHORTEST, min(window, OTHERS_LOOK_BACK)),
            )
        except Refused as error:
            return f"{meter.source} cannot be read: {error}"
        found = await asyncio.to_thread(counted, read[_STABLE])
        return found or f"{meter.source} counted nothing of stable in the window"

    async def _baseline(self, plan: Plan, phi: float | None) -> Baseline:
        """What a rollout that started now would be judged by; `phi` instead of its own."""
        if not plan.gates:
            return Baseline(phi=phi or 1.0)
        found = await self._of_gateway(plan, plan.policies.overdispersion if phi is None else phi)
        bounds = await self._bounds_of_others(plan)
        source = found.phi_source if phi is None else ASKED
        return replace(found, phi_source=source, slow_bounds={**found.slow_bounds, **bounds})

    async def _of_gateway(self, plan: Plan, fixed: float | None) -> Baseline:
        timed = [gate for gate in plan.gates if meter_of(gate) == GATEWAY]
        asks = any(gate.metric is Metric.LATENCY and gate.takes_bounds_of_stable for gate in timed)
        if fixed is not None and not asks:
            return measured(timed, History(), fixed_phi=fixed)
        try:
            history = await self._history.read(
                plan.route,
                GATEWAY.source,
                stable=Place(position=plan.stable.slot),
                window=BEFORE,
            )
        except Refused as error:
            return unmeasured(f"stable's history cannot be read: {error}", fixed_phi=fixed)
        return await asyncio.to_thread(measured, timed, history, fixed_phi=fixed)

    async def _bounds_of_others(self, plan: Plan) -> dict[str, tuple[float, ...]]:
        asking = [gate for gate in plan.gates if gate.takes_bounds_of_stable]
        found: dict[str, tuple[float, ...]] = {}
        for meter in meters_of(asking):
            with suppress(Refused):
                read = await self._counters.read_workloads(
                    plan.route,
                    meter,
                    workloads={_STABLE: plan.stable.workload.name},
                    window=BEFORE,
                )
                if bounds := bounds_of(read[_STABLE]):
                    names = (gate.name for gate in asking if meter_of(gate) == meter)
                    found |= dict.fromkeys(names, bounds)
        return found


def _listed(ahead: PlanOutlook) -> tuple[StepOutlook, ...]:
    return tuple(ahead.steps())
