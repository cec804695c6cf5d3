"""Takes the readings of gates beside a watch, each by a rhythm of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never
from uuid import UUID

from activities.heartbeats import still_wanted
from activities.ledger import YIELD_EVERY
from domain.costs import cost_answer
from domain.errors import TidegateError, TransientError
from domain.json_path import parse_path
from domain.metrics import NOTHING, SHORTEST, MeasuredVariant, Measurement
from domain.plan import Plan, Variant
from domain.ports import MetricsStore
from domain.progress import Progress, Seen
from domain.promql_text import QueryTextError, filled_in
from domain.question_names import names_at
from domain.reading_gates import CostQuestion, PromQuery, Question, ReadingGate
from domain.reading_port import QueryStore, ReadingStore, WebSource
from domain.readings.rules import Reading
from domain.readings.stepped import KeptReading, SteppedJudge
from domain.verdicts import Verdict
from domain.web_questions import WebQuestion, WebTextError, web_call

MOST_SERIES = 1000
# How soon a registry that is away is asked again when no reading is due.
REOPEN_AFTER = timedelta(seconds=5)
_SHORTEST_SPAN = timedelta(microseconds=1)

Line = tuple[str, str]  # a gate, and the variant that it is about


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPorts:
    """Who answers questions, and where the answers are kept."""

    queries: QueryStore
    metrics: MetricsStore
    web: WebSource
    store: ReadingStore


@asynccontextmanager
async def reading(
    rollout_id: UUID, plan: Plan, progress: Progress, ports: ReadingPorts
) -> AsyncGenerator["Readings"]:
    """Take readings for as long as a watch goes on; a step without such gates is seen as it is."""
    work = Readings(rollout_id, plan, progress, ports)
    if not work.lines:
        yield work
        return
    with suppress(TransientError):
        await work.open()
    task = asyncio.create_task(work.run())
    task.add_done_callback(lambda _: work.news.set())
    work.task = task
    try:
        yield work
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Readings:
    """One life of the readings of a step: its state is what is stored of them.

    While the registry is away readings still count against the candidate, and never for it.
    """

    def __init__(
        self, rollout_id: UUID, plan: Plan, progress: Progress, ports: ReadingPorts
    ) -> None:
        self._rollout_id, self._plan, self._progress = rollout_id, plan, progress
        self._ports, self._step = ports, progress.step
        self.lines = _lines(plan, progress)
        self._judges = self._fresh()
        self._is_kept = False
        self._opening = asyncio.Lock()
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def _fresh(self) -> dict[Line, SteppedJudge]:
        return {line: SteppedJudge(gate.name, gate.rules) for line, (gate, _) in self.lines.items()}

    async def open(self) -> None:
        """Take up where the stored readings end. Raises Unreachable while the registry is away."""
        kept = await self._ports.store.readings(self._rollout_id)
        judges = self._fresh()
        for i, one in enumerate(kept):
            if (judge := judges.get((one.gate, one.variant))) is not None:
                judge.add(one.step, one.reading)
            if i % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._judges, self._is_kept = judges, True

    async def run(self) -> None:
        """Read until nothing more is needed."""
        await asyncio.gather(*(self._follow(line) for line in self.lines))

    async def _follow(self, line: Line) -> None:
        while True:
            await self._reopen()
            due = self._judges[line].due_at(self._step, self._progress.acted.at)
            if due is None and self._is_kept:
                return
            wait = REOPEN_AFTER if due is None else due - datetime.now(UTC)
            if not self._is_kept:  # it may be back long before the next reading is due
                wait = min(wait, REOPEN_AFTER)
            if wait > timedelta(0):
                await asyncio.sleep(wait.total_seconds())
                continue
            await self._take(line)
            self.news.set()

    async def _reopen(self) -> None:
        async with self._opening:
            if not self._is_kept:
                with suppress(TransientError):
                    await self.open()
                    self.news.set()

    async def _take(self, line: Line) -> None:
        """Ask once, store what was answered, and let it count."""
        gate, variant = self.lines[line]
        taken = await self._ask(gate.question, variant)
        await still_wanted()
        judge = self._judges[line]
        if judge.latest_at is not None and taken.at <= judge.latest_at:  # another machine's clock
            taken = replace(taken, at=judge.latest_at + _SHORTEST_SPAN)
        kept = KeptReading(
            gate=gate.name,
            variant=variant.name,
            sequence=judge.readings,
            step=self._step,
            reading=taken,
        )
        if self._is_kept:
            try:
                await self._ports.store.keep(self._rollout_id, kept)
            except TransientError:  # away, or another watcher of this rollout was first
                self._is_kept = False
        present = self._judges[line]
        # Meanwhile another gate may have found the registry back, and this reading in it.
        if present is judge or present.latest_at is None or present.latest_at < taken.at:
            present.add(self._step, taken)

    async def _ask(self, question: Question, variant: Variant) -> Reading:
        at = datetime.now(UTC)
        try:
            series = await self._answer(question, variant, at)
        except (TidegateError, QueryTextError, WebTextError) as error:
            return Reading.failed(at, error)
        if len(series) > MOST_SERIES:
            said = f"the answer has {len(series):,} series, and at most {MOST_SERIES:,} are judged"
            return Reading(at=at, error=said)
        return Reading(at=at, series=series)

    async def _answer(
        self, question: Question, variant: Variant, at: datetime
    ) -> tuple[float, ...]:
        """A number for each series of the answer."""
        match question:
            case PromQuery():
                names = names_at(self._plan, self._progress, variant)
                return await self._ports.queries.answer(filled_in(question.query, names))
            case WebQuestion():
                call = web_call(question, names_at(self._plan, self._progress, variant))
                return parse_path(question.json_path).numbers(await self._ports.web.ask(call))
            case CostQuestion():
                asked = (variant, self._plan.stable)
                measured = (self._measured(one, question.window, at) for one in asked)
                return cost_answer(question, *await asyncio.gather(*measured))
            case _:
                assert_never(question)

    async def _measured(self, one: Variant, window: timedelta, at: datetime) -> Measurement:
        """What was counted of a variant in the window, of it since its present weight was seen."""
        counted = MeasuredVariant(
            workload=one.workload.name,
            route=self._plan.route,
            slot=one.slot,
            since=self._progress.acted.at,
        )
        span = counted.window(at, window)
        if span < SHORTEST:
            return NOTHING
        return await self._ports.metrics.measure(counted, at=at, window=span)

    def beside(self, seen: Seen) -> Seen:
        """What is seen, with the verdicts on the readings behind those on counters."""
        if self.task is not None and self.task.done():
            self.task.result()
        if not self.lines:
            return seen
        ours = {gate for gate, _ in self.lines}
        others = (verdict for verdict in seen.verdicts if verdict.gate not in ours)
        return replace(seen, verdicts=(*others, *map(self._verdict, self.lines)))

    def _verdict(self, line: Line) -> Verdict:
        _, variant = line
        verdict = self._judges[line].verdict(self._step)
        if not self._is_kept:
            verdict = verdict.unkept
        return replace(verdict, variant="" if self._plan.trial is None else variant)

    async def nap(self, longest: timedelta) -> None:
        """Wait for the next news, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest.total_seconds()):
                await self.news.wait()
        self.news.clear()


def _lines(plan: Plan, progress: Progress) -> dict[Line, tuple[ReadingGate, Variant]]:
    """Each gate that watches now, once for each variant that is judged."""
    arms = progress.arms_in(plan) if plan.trial is not None else (plan.candidate.name,)
    judged = [one for one in plan.challengers if one.name in arms]
    gates = plan.reading_gates_at(progress.step)
    return {(gate.name, one.name): (gate, one) for one in judged for gate in gates}
