"""Charts of evidence: what is stored of a rollout, folded anew into what its verdicts were.

A long history takes seconds to fold. So it is folded in slices between which others are served,
one history at a time, and who asks is told to come back rather than left waiting.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from typing import TypeVar

from api.errors import ChartUnfinished, TooMuchEvidence
from api.remembered import Remembered
from api.rendering import as_json
from api.schemas.evidence import EvidenceChartOut
from domain.evidence.chart import Chart
from domain.evidence.drawing import Drawing, merged, series_of
from domain.evidence.intervals import Interval
from domain.evidence_port import EvidenceLog, EvidenceStore
from domain.meters import meters_of
from domain.plan import Plan
from domain.reading_port import ReadingStore
from domain.readings.drawing import ReadingSeries, reading_drawings
from domain.rollout import Rollout

PATIENCE_SECONDS = 20.0
# What others who are served meanwhile wait for, each time that it is their turn.
SLICE_SECONDS = 0.001
# So many are folded in about a second: what is asked for once more is drawn once more if it grew.
FEW_INTERVALS = 2_000
MOST_INTERVALS = 100_000
MOST_POINTS = 2_000
MOST_POINTS_IN_ALL = 10_000
MOST_WAITING = 8
KEPT_SECONDS, MOST_KEPT = 60.0, 16
_T = TypeVar("_T")


class Charts:
    """Draws them, and keeps each for KEPT_SECONDS."""

    def __init__(
        self,
        evidence: EvidenceStore,
        readings: ReadingStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        most_points: int = MOST_POINTS_IN_ALL,
    ) -> None:
        self._evidence, self._readings = evidence, readings
        self._patience_seconds = patience_seconds
        self._most_points = most_points
        self._kept: Remembered[bytes] = Remembered(KEPT_SECONDS, most=MOST_KEPT)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def chart(self, rollout: Rollout, points: int) -> bytes:
        """An EvidenceChartOut as JSON, with `points` moments, or fewer where series are many.

        Raises ChartUnfinished when it takes long, and goes on meanwhile; TooMuchEvidence when it
        would take too long.
        """
        size = await self._size(rollout)
        key: Hashable = (rollout.id, points, size if size <= FEW_INTERVALS else None)
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._kept.get(key, lambda: self._draw(rollout, points))
        except TimeoutError as error:
            raise ChartUnfinished from error

    async def _size(self, rollout: Rollout) -> int:
        """How much there is to fold. Raises TooMuchEvidence."""
        size, what = await self._evidence.size(rollout.id), "intervals of evidence"
        if rollout.plan.reading_gates:
            size, what = size + await self._readings.size(rollout.id), f"{what} and readings"
        if size > MOST_INTERVALS:
            raise TooMuchEvidence(size, MOST_INTERVALS, what)
        return size

    async def _draw(self, rollout: Rollout, points: int) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise ChartUnfinished
        self._waiting += 1
        try:
            async with self._turn:
                return await self._drawn(rollout, points)
        finally:
            self._waiting -= 1

    async def _drawn(self, rollout: Rollout, points: int) -> bytes:
        plan, drawings = rollout.plan, reading_drawings(rollout.plan)
        series = series_of(plan.gates, plan.trial) + len(drawings)
        most = min(points, self._most_points // max(series, 1))
        chart = await self._folded(rollout, most)
        if drawings:
            async for kept in _in_slices(await self._readings.readings(rollout.id)):
                if (drawing := drawings.get((kept.gate, kept.variant))) is not None:
                    drawing.add(kept)
        readings = [drawing.series(most) for drawing in drawings.values()]
        return await asyncio.to_thread(_written, rollout, chart, readings)

    async def _folded(self, rollout: Rollout, most: int) -> Chart:
        plan, log = rollout.plan, await self._evidence.load(rollout.id)
        charts = [await self._of_meter(plan, log, most, "")]
        charts += [await self._of_meter(plan, log, most, one.name) for one in meters_of(plan.gates)]
        return merged(charts, plan.gates)

    async def _of_meter(self, plan: Plan, log: EvidenceLog, most: int, meter: str) -> Chart:
        gateway, stream = log.intervals, log.meters.get(meter)
        intervals = (() if stream is None else stream.intervals) if meter else gateway
        beside = [one for one in gateway if isinstance(one, Interval)] if meter else ()
        drawing = await asyncio.to_thread(
            Drawing,
            *(plan.gates, plan.trial, intervals),
            points=most,
            meter=meter,
            beside=beside,
            baseline=log.baseline,
            warm_up=plan.policies.warm_up,
            margins=plan.margins,
        )
        async for interval in _in_slices(intervals):
            drawing.add(interval)
        return drawing.chart()


async def _in_slices(items: Iterable[_T]) -> AsyncIterator[_T]:
    """The same, with a turn for others in between."""
    since = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - since > SLICE_SECONDS:
            await asyncio.sleep(0)
            since = time.monotonic()


def _written(rollout: Rollout, chart: Chart, readings: Sequence[ReadingSeries]) -> bytes:
    return as_json(EvidenceChartOut.from_domain(rollout.id, chart, readings))
