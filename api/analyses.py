"""Replays the past and looks ahead at plans, within bounds, without holding up anybody else."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from uuid import UUID

from api.backtests import Backtest, Past, Piece
from api.errors import AnalysisUnfinished, TooManySamples
from api.measuring import metrics_store
from api.outlooks import Outlooks
from api.remembered import Remembered
from api.rendering import as_json
from api.schemas.analysis import BacktestOut, HealthyOut, ReplayOut
from api.schemas.gates import GateBody
from api.schemas.outlooks import AnalysisPlanIn
from api.schemas.plans import PlanOut
from domain.evidence.replaying import Replay, is_replayed
from domain.gates import Source
from domain.history_port import CounterHistory
from domain.plan import Plan
from domain.registry import TrafficVariant

PATIENCE_SECONDS = 20.0
# A scrape each second of two dozen series of both arms is a hundred thousand samples.
CHUNK = timedelta(minutes=30)
MOST_SAMPLES = 10_000_000
MOST_WAITING = 8
KEPT_SECONDS, MOST_KEPT = 60.0, 16
# The traffic of now is not that of a minute ago.
PLAN_KEPT_SECONDS = 5.0


class Analyses:
    """Carries them out one at a time, and keeps each for a while."""

    def __init__(
        self,
        history: CounterHistory,
        outlooks: Outlooks,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        most_samples: int = MOST_SAMPLES,
        chunk: timedelta = CHUNK,
    ) -> None:
        self._history, self._outlooks = history, outlooks
        self._patience_seconds, self._most_samples = patience_seconds, most_samples
        self._chunk = chunk
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
        return await self._done(self._backtests, key, lambda: self._backtest(asked))

    async def plan(
        self, project: UUID, wish: AnalysisPlanIn, plan: Plan, stable: TrafficVariant, at: datetime
    ) -> bytes:
        """An AnalysisPlanOut as JSON. Raises as `backtest` does."""
        key = (project, wish.model_dump_json(), as_json(PlanOut.from_domain(plan)))
        return await self._done(self._plans, key, lambda: self._outlooks.on(plan, wish, stable, at))

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

    async def _backtest(self, asked: Backtest) -> bytes:
        left = self._most_samples
        found: list[ReplayOut] = []
        for past in (asked.past, *asked.healthy):
            replayed = await self._replayed(asked, past, left)
            left -= replayed.samples
            found.append(replayed)
        replay, *healthy = found
        answer = BacktestOut(
            gates=[GateBody.from_domain(gate) for gate in asked.gates if is_replayed(gate)],
            phi=asked.phi,
            warm_up_seconds=asked.warm_up.total_seconds(),
            probe_interval_seconds=asked.probe.total_seconds(),
            replay=replay,
            healthy=HealthyOut.of(healthy) if healthy else None,
        )
        return as_json(answer)

    async def _replayed(self, asked: Backtest, past: Past, most: int) -> ReplayOut:
        replay = Replay(
            asked.gates,
            probe=asked.probe,
            phi=asked.phi,
            warm_up=asked.warm_up,
            checks_split=past.checks_split,
        )
        for piece in past.pieces:
            replay.open(piece.stretch)
            await self._take(past, piece, replay, most)
        found = await asyncio.to_thread(replay.result, past.stretches)
        return ReplayOut.from_domain(
            found, rollout_id=past.rollout_id, since=past.since, until=past.until
        )

    async def _take(self, past: Past, piece: Piece, replay: Replay, most: int) -> None:
        """Read a stretch, chunk by chunk, and a little before it for the first look."""
        since, end = piece.stretch.since - replay.lookback, piece.stretch.until
        while since < end:
            until = min(since + self._chunk, end)
            reading = await self._history.read(
                past.route,
                Source.ENVOY,
                candidate=piece.candidate,
                stable=piece.stable,
                since=since,
                until=until,
            )
            await asyncio.to_thread(replay.take, reading, until)
            if replay.samples > most:
                raise TooManySamples(self._most_samples)
            since = until
