"""Charts of evidence: what is stored of a rollout, folded anew into what its verdicts were.

A long history takes seconds to fold. So it is folded in slices between which others are served,
one history at a time, and who asks is told to come back rather than left waiting.
"""

import asyncio
import time
from collections.abc import Hashable

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


class Charts:
    """Draws them, and keeps each for KEPT_SECONDS."""

    def __init__(
        self,
        evidence: EvidenceStore,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        most_points: int = MOST_POINTS_IN_ALL,
    ) -> None:
        self._evidence, self._patience_seconds = evidence, patience_seconds
        self._most_points = most_points
        self._kept: Remembered[bytes] = Remembered(KEPT_SECONDS, most=MOST_KEPT)
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def chart(self, rollout: Rollout, points: int) -> bytes:
        """An EvidenceChartOut as JSON, with `points` moments, or fewer where series are many.

        Raises ChartUnfinished when it takes long, and goes on meanwhile; TooMuchEvidence when it
        would take too long.
        """
        size = await self._evidence.size(rollout.id)
        if size > MOST_INTERVALS:
            raise TooMuchEvidence(size, MOST_INTERVALS)
        key: Hashable = (rollout.id, points, size if size <= FEW_INTERVALS else None)
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._kept.get(key, lambda: self._draw(rollout, points))
        except TimeoutError as error:
            raise ChartUnfinished from error

    async def _draw(self, rollout: Rollout, points: int) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise ChartUnfinished
        self._waiting += 1
        try:
            async with self._turn:
                chart = await self._folded(rollout, points)
                return await asyncio.to_thread(_written, rollout, chart)
        finally:
            self._waiting -= 1

    async def _folded(self, rollout: Rollout, points: int) -> Chart:
        plan, log = rollout.plan, await self._evidence.load(rollout.id)
        most = min(points, self._most_points // max(series_of(plan.gates, plan.trial), 1))
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
        since = time.monotonic()
        for interval in intervals:
            drawing.add(interval)
            if time.monotonic() - since > SLICE_SECONDS:
                await asyncio.sleep(0)
                since = time.monotonic()
        return drawing.chart()


def _written(rollout: Rollout, chart: Chart) -> bytes:
    return as_json(EvidenceChartOut.from_domain(rollout.id, chart))
