"""Takes the readings of gates without statistics as they would have been taken in the past."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from api.errors import TooManyQueries
from api.pasts import Arm, Past
from domain.costs import CostUnknown, cost_answer
from domain.errors import Refused
from domain.evidence.replaying import Stretch
from domain.history_port import MetricsHistory
from domain.metrics import NOTHING, SHORTEST, MeasuredVariant, Measurement
from domain.ports import MetricsStore
from domain.promql_text import QueryTextError, filled_in
from domain.reading_gates import CostQuestion, PromQuery, Question, ReadingGate
from domain.readings.replaying import ReadingReplay
from domain.readings.rules import Reading
from domain.web_questions import WebQuestion

# Others ask the same store meanwhile. A cost alone is more than a dozen queries side by side.
AT_ONCE, COSTS_AT_ONCE = 4, 1
MOST_QUERIES = 5_000
# What a reading asks the store: whether it knows of the moment at all, and the question itself, of
# a cost all that is measured of both arms.
OF_QUERY, OF_COST = 2, 17
NOT_KEPT = "the metrics store has nothing of that moment (any more)"
# To this moment it is found out since when the store knows anything.
CLOSE_ENOUGH = timedelta(seconds=15)


def queries_of(question: Question) -> int:
    """How many queries one reading makes."""
    return OF_COST if isinstance(question, CostQuestion) else OF_QUERY


class PastReadings:
    """Those of one backtest, of which all ranges together may ask `most` queries."""

    def __init__(
        self, history: MetricsHistory, metrics: MetricsStore, *, most: int = MOST_QUERIES
    ) -> None:
        self._history, self._metrics, self._most = history, metrics, most
        self._asked = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._turns_of_costs = asyncio.Semaphore(COSTS_AT_ONCE)

    async def replayed(self, gates: Sequence[ReadingGate], past: Past) -> tuple[ReadingReplay, ...]:
        """Each gate over a range, a few questions at once.

        Raises TooManyQueries, Unreachable and Forbidden.
        """
        if not gates:
            return ()
        kept_from = await self._kept_from(past.since, past.until)
        replays = tuple(ReadingReplay(gate, past.stretches, kept_from) for gate in gates)
        pairs = zip(gates, replays, strict=True)
        reading = [asyncio.create_task(self._read(gate, past, replay)) for gate, replay in pairs]
        try:
            await asyncio.gather(*reading)
        finally:  # where one fails the others would go on for nothing
            for task in reading:
                task.cancel()
        return replays

    async def _read(self, gate: ReadingGate, past: Past, replay: ReadingReplay) -> None:
        while ahead := replay.due(AT_ONCE):
            asking = (self._ask(gate.question, past, *moment) for moment in ahead)
            for reading in await asyncio.gather(*asking):
                if replay.is_due(reading.at):
                    replay.add(reading)
                    self._count(gate.question)

    def _count(self, question: Question) -> None:
        """What was asked ahead in vain is not counted: it is a few queries a gate."""
        self._asked += queries_of(question)
        if self._asked > self._most:
            raise TooManyQueries(self._most)

    async def _ask(self, question: Question, past: Past, stretch: Stretch, at: datetime) -> Reading:
        is_cost = isinstance(question, CostQuestion)
        async with self._turns_of_costs if is_cost else self._turns:
            try:
                if not await self._history.is_kept(at):
                    return Reading(at=at, error=NOT_KEPT)
                return Reading(at=at, series=await self._answer(question, past, stretch, at))
            except (Refused, CostUnknown, QueryTextError) as error:
                return Reading.failed(at, error)

    async def _answer(
        self, question: Question, past: Past, stretch: Stretch, at: datetime
    ) -> tuple[float, ...]:
        """A number for each series of the answer."""
        match question:
            case PromQuery():
                query = filled_in(question.query, past.names(stretch))
                return await self._history.answer(query, at)
            case CostQuestion():
                window = question.window
                arms = (past.candidate, past.stable)
                asked = (self._measured(past, arm, stretch.since, at, window) for arm in arms)
                return cost_answer(question, *await asyncio.gather(*asked))
            case WebQuestion():
                raise Refused("what a URL said is not known any more")
            case _:
                assert_never(question)

    async def _measured(
        self, past: Past, arm: Arm, since: datetime, at: datetime, window: timedelta
    ) -> Measurement:
        """What was counted of an arm in the window, as far as its weight stood by then."""
        counted = MeasuredVariant(
            workload=arm.workload, route=past.route, slot=arm.slot, since=since
        )
        span = counted.window(at, window)
        if span < SHORTEST:
            return NOTHING
        return await self._metrics.measure(counted, at=at, window=span)

    async def _kept_from(self, since: datetime, until: datetime) -> datetime | None:
        """When the store's memory of a range begins; None where it has nothing of its end either.

        Holes are found at each reading.
        """
        if await self._history.is_kept(since):
            return since
        if not await self._history.is_kept(until):
            return None
        lost, known = since, until
        while known - lost > CLOSE_ENOUGH:
            middle = lost + (known - lost) / 2
            if await self._history.is_kept(middle):
                known = middle
            else:
                lost = middle
        return known
