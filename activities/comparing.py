"""Compares the answers of stable and a shadow beside a watch, pair by pair."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from uuid import UUID

from activities.heartbeats import still_wanted
from domain.comparison import (
    ANSWERS,
    Compared,
    Comparison,
    Heard,
    Reply,
    SampleRequest,
    shuffled,
)
from domain.comparison_port import Answers, ComparisonStore
from domain.errors import TidegateError, TransientError
from domain.evidence.agreement import Agreement
from domain.likeness import difference, measure
from domain.plan import Plan
from domain.progress import Seen
from domain.verdicts import Status, Verdict
from domain.workloads import Workload

Beside = Callable[[Seen], Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparingPorts:
    """Whom a comparison asks, and where its results are kept."""

    answers: Answers
    store: ComparisonStore


@asynccontextmanager
async def comparing(
    rollout_id: UUID, plan: Plan, step: int, ports: ComparingPorts
) -> AsyncGenerator[Beside]:
    """Compare for as long as a watch goes on; gives what puts the verdict beside those of gates.

    A step without a comparison is seen as it is.
    """
    comparison = plan.comparison_at(step)
    if comparison is None:
        yield lambda seen: seen
        return
    work = Comparing(rollout_id, plan, comparison, ports)
    with suppress(TransientError):
        await work.open()
    task = asyncio.create_task(work.run())

    def beside(seen: Seen) -> Seen:
        if task.done():
            task.result()
        return work.beside(seen)

    try:
        yield beside
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Comparing:
    """One life of a comparison: its state is the stored results, and only what is stored counts.

    A request that stable does not answer, or that nobody takes, goes to the end of the line: it
    says nothing about the shadow.
    """

    def __init__(
        self, rollout_id: UUID, plan: Plan, comparison: Comparison, ports: ComparingPorts
    ) -> None:
        self._rollout_id, self._plan, self._ports = rollout_id, plan, ports
        self._comparison = comparison
        self._agreement = Agreement(comparison)
        self._line: deque[int] = deque()
        self._sequence = 0
        self._unheard: dict[int, str] = {}
        self._store_is_away = "they have not been read yet"
        self._must_wait = True  # until the first look at whether both are ready

    async def run(self) -> None:
        """Ask until something is decided, but for the time that one of the two is not ready."""
        while not self._agreement.is_decided:
            await asyncio.sleep(self._comparison.every.total_seconds())
            if not self._must_wait:
                await self._go_on()

    def beside(self, seen: Seen) -> Seen:
        """What is seen, with the verdict on the answers as the last of the verdicts."""
        self._must_wait = bool(seen.candidate_not_ready or seen.stable_not_ready)
        gates = (verdict for verdict in seen.verdicts if verdict.gate != ANSWERS)
        return replace(seen, verdicts=(*gates, self.verdict))

    async def _go_on(self) -> None:
        """Compare one pair; behind trouble with the store, take up where the results end."""
        with suppress(TransientError):
            if self._store_is_away:
                await self.open()
            if self._line and not self._agreement.is_decided:
                await self._compare(self._line[0])

    async def open(self) -> None:
        """Read what is stored. Raises Unreachable while the registry is away."""
        try:
            results = await self._ports.store.compared(self._rollout_id)
        except TransientError as error:
            self._store_is_away = str(error)
            raise
        self._agreement = Agreement(self._comparison)
        for result in results:
            self._agreement.add(result)
        self._sequence = len(results)
        known = {result.request for result in results}
        order = shuffled(self._rollout_id, self._comparison.sample)
        self._line = deque(index for index in order if index not in known)
        self._unheard = {i: why for i, why in self._unheard.items() if i not in known}
        self._store_is_away = ""

    @property
    def verdict(self) -> Verdict:
        if self._store_is_away and not self._agreement.is_decided:
            reason = f"The compared answers cannot be kept: {self._store_is_away}"
            return Verdict(gate=ANSWERS, status=Status.UNAVAILABLE, reason=reason)
        return self._agreement.verdict(self._unheard)

    async def _compare(self, index: int) -> None:
        heard = await self._hear(self._comparison.sample[index])
        if isinstance(heard, str):
            self._unheard[index] = heard
            self._line.rotate(-1)
            return
        # Long answers take long to compare; heartbeats and other watches go on meanwhile.
        found = await asyncio.to_thread(difference, self._comparison, *heard)
        await still_wanted()
        await self._keep(Compared(sequence=self._sequence, request=index, difference=found))

    async def _hear(self, request: SampleRequest) -> tuple[Reply, Heard] | str:
        """Both answers, or why they say nothing about the shadow."""
        try:
            answer = await self._ask(self._plan.stable.workload, request)
            stable = measure(self._comparison, answer)
            if isinstance(stable, str):
                return stable
            return stable, await self._ask(self._plan.candidate.workload, request)
        except TidegateError as error:
            return str(error)

    async def _ask(self, workload: Workload, request: SampleRequest) -> Heard:
        return await self._ports.answers.ask(workload, request, within=self._comparison.timeout)

    async def _keep(self, result: Compared) -> None:
        """Store a result, then let it count. Raises where it could not be stored."""
        try:
            await self._ports.store.keep(self._rollout_id, result)
        except TransientError as error:  # away, or another watcher of this rollout was first
            self._store_is_away = str(error)
            raise
        self._agreement.add(result)
        self._sequence += 1
        self._unheard.pop(result.request, None)
        self._line.popleft()
