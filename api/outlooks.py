"""Looks ahead at a plan: reads what stable does now, and says what its gates will take and find."""

import asyncio
from datetime import datetime, timedelta

from api.rendering import as_json
from api.schemas.gates import GateBody
from api.schemas.outlooks import (
    AnalysisPlanIn,
    AnalysisPlanOut,
    StepOutlookOut,
    TrafficSeenOut,
)
from domain.metrics import NOTHING, SHORTEST, MeasuredVariant
from domain.outlook import PlanOutlook, StepOutlook, TrafficSeen, traffic_seen
from domain.plan import Plan
from domain.ports import MetricsStore
from domain.registry import TrafficVariant


class Outlooks:
    """Raises Unreachable while the metrics store cannot answer, Refused when it will not."""

    def __init__(self, metrics: MetricsStore) -> None:
        self._metrics = metrics

    async def on(
        self, plan: Plan, wish: AnalysisPlanIn, stable: TrafficVariant, at: datetime
    ) -> bytes:
        """An AnalysisPlanOut as JSON."""
        seen = await self._traffic(plan, stable, timedelta(seconds=wish.window_seconds), at)
        ahead = PlanOutlook(plan, seen, weights=wish.other_weights, phi=wish.phi)
        steps = await asyncio.to_thread(_listed, ahead)
        answer = AnalysisPlanOut(
            traffic=TrafficSeenOut.from_domain(seen, plan.gates, at),
            gates=[GateBody.from_domain(gate) for gate in plan.gates],
            phi=wish.phi,
            steps=[StepOutlookOut.from_domain(step) for step in steps],
        )
        return as_json(answer)

    async def _traffic(
        self, plan: Plan, stable: TrafficVariant, asked: timedelta, at: datetime
    ) -> TrafficSeen:
        variant = MeasuredVariant(
            workload=stable.workload, route=plan.route, slot=stable.slot, since=stable.joined_at
        )
        window = variant.window(at, asked)
        measured = (
            await self._metrics.measure(variant, at=at, window=window)
            if window >= SHORTEST
            else NOTHING
        )
        return traffic_seen(plan.gates, measured, window)


def _listed(ahead: PlanOutlook) -> tuple[StepOutlook, ...]:
    return tuple(ahead.steps())
