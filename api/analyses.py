"""Replays the past and looks ahead at plans, within bounds, without holding up anybody else."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from uuid import UUID

from api.errors import AnalysisUnfinished
from api.measuring import metrics_store
from api.pasts import Backtest
from api.remembered import Remembered
from api.rendering import as_json
from api.replays import Replays
from api.schemas.analysis import (
    AnalysisPlanIn,
    AnalysisPlanOut,
    StepOutlookOut,
    TrafficSeenOut,
)
from api.schemas.gates import GateBody
from api.schemas.plans import PlanOut
from domain.metrics import NOTHING, SHORTEST, MeasuredVariant
from domain.outlook import PlanOutlook, StepOutlook, TrafficSeen, traffic_seen
from domain.plan import Plan
from domain.ports import MetricsStore
from domain.registry import TrafficVariant

PATIENCE_SECONDS = 20.0
MOST_WAITING = 8
KEPT_SECONDS, MOST_KEPT = 60.0, 16
# The traffic of now is not that of a minute ago.
PLAN_KEPT_SECONDS = 5.0


class Analyses:
    """Carries them out one at a time, and keeps each for a while."""

    def __init__(
        self,
        replays: Replays,
        metrics: MetricsStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._replays, self._metrics = replays, metrics
        self._patience_seconds = patience_seconds
        self._backtests: Remembered[bytes] = Remembered(KEPT_SECONDS, most=MOST_KEPT)
        self._plans: Remembered[bytes] = Remembered(PLAN_KEPT_SECONDS, most=MOST_KEPT)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def backtest(self, project: UUID, asked: Backtest) -> bytes:
        """A BacktestOut as JSON.

        Raises AnalysisUnfinished when it takes long, and goes on meanwhile; TooManySamples when it
        would take too long; MetricsUnreachable and MetricsRefused.
        """
        key = (project, asked)
        return await self._done(self._backtests, key, lambda: self._replays.backtest(asked))

    async def plan(
        self, project: UUID, wish: AnalysisPlanIn, plan: Plan, stable: TrafficVariant, at: datetime
    ) -> bytes:
        """An AnalysisPlanOut as JSON. Raises as `backtest` does."""
        key = (project, wish.model_dump_json(), as_json(PlanOut.from_domain(plan)))
        return await self._done(self._plans, key, lambda: self._plan(wish, plan, stable, at))

    async def _done(
        self, kept: Remembered[bytes], key: Hashable, ask: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await kept.get(key, lambda: self._in_turn(ask))
        except TimeoutError as error:
            raise AnalysisUnfinished from error

    async def _in_turn(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise AnalysisUnfinished
        self._waiting += 1
        try:
            async with self._turn, metrics_store():
                return await ask()
        finally:
            self._waiting -= 1

    async def _plan(
        self, wish: AnalysisPlanIn, plan: Plan, stable: TrafficVariant, at: datetime
    ) -> bytes:
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
