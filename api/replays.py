"""Carries a backtest out: reads the past piece by piece, and lets the gates see it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from api.errors import TooManySamples
from api.past_bounds import slow_bounds
from api.past_readings import PastReadings
from api.pasts import Backtest, Past, Piece
from api.rendering import as_json
from api.schemas.analysis import BacktestOut, HealthyOut, LeftOutOut, ReplayOut
from api.schemas.gates import gate_body
from domain.evidence.baseline import Baseline
from domain.evidence.counters import Reading
from domain.evidence.replaying import Replay, Replayed
from domain.gates import Source
from domain.history_port import MetricsHistory
from domain.meters import Meter
from domain.ports import MetricsStore
from domain.readings.replaying import ReadingReplay

# A scrape each second of two dozen series of both arms is a hundred thousand samples.
CHUNK = timedelta(minutes=30)
MOST_SAMPLES = 10_000_000


class Replays:
    """Reads no more than `most_samples` for one backtest, a `chunk` of time at once."""

    def __init__(
        self,
        history: MetricsHistory,
        metrics: MetricsStore,
        *,
        most_samples: int = MOST_SAMPLES,
        chunk: timedelta = CHUNK,
    ) -> None:
        self._history, self._metrics = history, metrics
        self._most_samples, self._chunk = most_samples, chunk

    async def backtest(self, asked: Backtest) -> bytes:
        """A BacktestOut as JSON.

        Raises TooManySamples, TooManyQueries, and what the metrics store raises.
        """
        left = self._most_samples
        readings = PastReadings(self._history, self._metrics)
        found: list[ReplayOut] = []
        for past in asked.pasts:
            counted = await self._counted(asked, past, left)
            left -= counted.samples
            read = await readings.replayed(asked.readings, past)
            found.append(_told(past, counted, read))
        replay, *healthy = found
        answer = BacktestOut(
            gates=[gate_body(gate) for gate in asked.replayed],
            left_out=[LeftOutOut(gate=one.gate, reason=one.reason) for one in asked.left_out],
            phi=asked.phi,
            warm_up_seconds=asked.warm_up.total_seconds(),
            probe_interval_seconds=asked.probe.total_seconds(),
            replay=replay,
            healthy=HealthyOut.of(healthy) if healthy else None,
        )
        return as_json(answer)

    async def _counted(self, asked: Backtest, past: Past, most: int) -> Replayed:
        """What the gates with statistics would have said."""
        if all(gate.name in asked.unread for gate in asked.gates):
            return Replayed(samples=0, intervals=0, missing=(), gates=())
        bounds = await slow_bounds(self._history, asked, past)
        replay = Replay(
            asked.gates,
            probe=asked.probe,
            unread=asked.unread,
            unbound=bounds.unbound,
            baseline=Baseline(
                phi=asked.phi, phi_source=asked.phi_source, slow_bounds=bounds.by_gate
            ),
            warm_up=asked.warm_up,
            checks_split=past.checks_split,
            margins=dict(past.margins),
        )
        for piece in past.pieces:
            replay.open(piece.stretch)
            await self._take(past, piece, replay, most)
        return await asyncio.to_thread(replay.result, past.stretches)

    async def _take(self, past: Past, piece: Piece, replay: Replay, most: int) -> None:
        """Read a stretch, chunk by chunk, and a little before it for the first look.

        One meter after the other: each is much to read, and others ask the same store.
        """
        since, end = piece.stretch.since - replay.lookback, piece.stretch.until
        while since < end:
            until = min(since + self._chunk, end)
            gateway = await self._of_gateway(past, piece, since, until)
            beside = {
                meter: await self._of_meter(past, meter, since, until) for meter in replay.meters
            }
            await asyncio.to_thread(replay.take, gateway, until, beside)
            if replay.samples > most:
                raise TooManySamples(self._most_samples)
            since = until

    async def _of_gateway(
        self, past: Past, piece: Piece, since: datetime, until: datetime
    ) -> Reading:
        return await self._history.read(
            past.route,
            Source.ENVOY,
            candidate=piece.candidate,
            stable=piece.stable,
            since=since,
            until=until,
        )

    async def _of_meter(
        self, past: Past, meter: Meter, since: datetime, until: datetime
    ) -> Reading:
        return await self._history.read_workloads(
            past.route,
            meter,
            candidate=past.candidate.workload,
            stable=past.stable.workload,
            since=since,
            until=until,
        )


def _told(past: Past, counted: Replayed, read: Sequence[ReadingReplay]) -> ReplayOut:
    """All gates on one range."""
    missing = dict.fromkeys((*counted.missing, *(told for one in read for told in one.missing)))
    gates = (*counted.gates, *(one.result() for one in read))
    return ReplayOut.from_domain(
        replace(counted, gates=gates, missing=tuple(missing)),
        rollout_id=past.rollout_id,
        since=past.since,
        until=past.until,
        readings=sum(one.readings for one in read),
    )
