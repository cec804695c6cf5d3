"""Carries a backtest out: reads the past piece by piece, and lets the gates see it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from api.errors import TooManySamples
from api.past_readings import PastReadings
from api.pasts import Backtest, Past, Piece
from api.rendering import as_json
from api.schemas.analysis import BacktestOut, HealthyOut, LeftOutOut, ReplayOut
from api.schemas.gates import gate_body
from domain.evidence import reasons
from domain.evidence.baseline import BEFORE, Baseline, bounds_of
from domain.evidence.counters import Reading, Series
from domain.evidence.replaying import Replay, Replayed
from domain.gates import Source
from domain.history_port import MetricsHistory
from domain.meters import GATEWAY, Meter, meter_of
from domain.ports import MetricsStore
from domain.readings.replaying import ReadingReplay
from domain.traffic import Place

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
        bounds, unbound = await self._bounds(asked, past)
        replay = Replay(
            asked.gates,
            probe=asked.probe,
            unread=asked.unread,
            unbound=unbound,
            baseline=Baseline(phi=asked.phi, phi_source=asked.phi_source, slow_bounds=bounds),
            warm_up=asked.warm_up,
            checks_split=past.checks_split,
            margins=dict(past.margins),
        )
        for piece in past.pieces:
            replay.open(piece.stretch)
            await self._take(past, piece, replay, most)
        return await asyncio.to_thread(replay.result, past.stretches)

    async def _bounds(
        self, asked: Backtest, past: Past
    ) -> tuple[dict[str, tuple[float, ...]], dict[str, str]]:
        """The bounds of the gates that name none, and why those without any have none.

        They are what a rollout was given at its start, or what one that began with the range would
        have been given.
        """
        asking = [
            gate
            for gate in asked.gates
            if gate.takes_bounds_of_stable and gate.name not in asked.unread
        ]
        known, because = dict(past.bounds), {}
        for meter in dict.fromkeys(map(meter_of, asking)):
            if meter not in known:
                known[meter] = bounds_of(await self._stable_before(past, meter))
                because[meter] = "" if known[meter] else _nothing_before(past.since)
        told = {gate.name: because.get(meter_of(gate), "") for gate in asking}
        return (
            {gate.name: known[meter_of(gate)] for gate in asking},
            {name: why for name, why in told.items() if why},
        )

    async def _stable_before(self, past: Past, meter: Meter) -> tuple[Series, ...]:
        """What stable did before the range, in its slot: header routes are not looked at."""
        since, until = past.since - BEFORE, past.since
        if meter != GATEWAY:
            read = await self._history.read_workloads(
                past.route,
                meter,
                candidate=None,
                stable=past.stable.workload,
                since=since,
                until=until,
            )
            return read.stable
        slot = Piece(
            stretch=past.pieces[0].stretch,
            candidate=(),
            stable=(Place(position=past.stable.slot),),
        )
        return (await self._of_gateway(past, slot, since, until)).stable

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


def _nothing_before(since: datetime) -> str:
    return (
        f"The metrics store has no times of stable's answers from {reasons.moment(since - BEFORE)} "
        f"to {reasons.moment(since)} (any more), so there is no bound to count slow answers at: "
        "give the gate slow_over_ms."
    )
