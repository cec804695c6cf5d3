"""Replays the past and looks ahead at plans, within bounds, without holding up anybody else."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime
from uuid import UUID

from api.errors import AnalysisNotBegun, AnalysisUnfinished
from api.measuring import metrics_store
from api.outlooks import Outlooks
from api.pasts import Backtest
from api.remembered import Remembered, Slow
from api.rendering import as_json
from api.replays import Replays
from api.schemas.outlooks import AnalysisPlanIn
from api.schemas.plans import PlanOut
from domain.plan import Plan
from domain.registry import TrafficVariant

PATIENCE_SECONDS = 20.0
MOST_WAITING = 8
KEPT_SECONDS, MOST_KEPT = 60.0, 16
# Of a plan that was told at once: the traffic of now is not that of a minute ago.
PLAN_KEPT_SECONDS = 5.0


class Analyses:
    """Carries out one backtest at a time, and one plan beside it, and keeps each for a while."""

    def __init__(
        self,
        replays: Replays,
        outlooks: Outlooks,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replays, self._outlooks = replays, outlooks
        # Half, since an answer may come the moment that the patience ends.
        slow = Slow(after=patience_seconds / 2, kept=KEPT_SECONDS)
        self._backtests = _OneByOne(
            Remembered(KEPT_SECONDS, slow=slow, most=MOST_KEPT, timer=timer), patience_seconds
        )
        self._plans = _OneByOne(
            Remembered(PLAN_KEPT_SECONDS, slow=slow, most=MOST_KEPT, timer=timer), patience_seconds
        )

    async def backtest(self, project: UUID, asked: Backtest) -> bytes:
        """A BacktestOut as JSON.

        Raises AnalysisUnfinished when it takes long, and goes on meanwhile; AnalysisNotBegun when
        many wait; TooManySamples when it would take too long; MetricsUnreachable; MetricsRefused.
        """
        key = (project, asked)
        return await self._backtests.answer(key, lambda: self._replays.backtest(asked))

    async def plan(
        self, project: UUID, wish: AnalysisPlanIn, plan: Plan, stable: TrafficVariant, at: datetime
    ) -> bytes:
        """An AnalysisPlanOut as JSON. Raises as `backtest` does."""
        key = (project, wish.model_dump_json(), as_json(PlanOut.from_domain(plan)))
        return await self._plans.answer(key, lambda: self._outlooks.on(plan, wish, stable, at))


class _OneByOne:
    """A line of its own, so that one kind of analysis never waits for another."""

    def __init__(self, kept: Remembered[bytes], patience_seconds: float) -> None:
        self._kept, self._patience_seconds = kept, patience_seconds
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def answer(self, key: Hashable, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._kept.get(key, lambda: self._in_turn(ask))
        except TimeoutError as error:
            raise AnalysisUnfinished from error

    async def _in_turn(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise AnalysisNotBegun
        self._waiting += 1
        try:
            async with self._turn, metrics_store():
                return await ask()
        finally:
            self._waiting -= 1
