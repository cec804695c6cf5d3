"""The evidence of one rollout as a watcher keeps it: read, stored, folded into verdicts."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.errors import TransientError
from domain.evidence.counters import Cursor, Reading, advance
from domain.evidence.intervals import Interval
from domain.evidence.judge import Judge
from domain.evidence.rhythm import seconds_to_news
from domain.plan import Plan
from domain.ports import CounterSource, EvidenceStore
from domain.progress import Progress
from domain.steps import Soak
from domain.traffic import Place
from domain.verdicts import Status, Verdict

# A week of intervals takes seconds to fold: heartbeats must get through meanwhile.
YIELD_EVERY = 200
NOT_KEPT = "the registry that keeps the evidence is away, and nothing advances on what is not kept"


class Ledger:
    """Folds what it reads at once, and keeps it as soon as the registry takes it.

    While the registry is away a failure still counts, from memory; a pass does not. When it is
    back, what lies between joins the stored evidence as one interval: counters lose nothing.
    """

    def __init__(self, plan: Plan, counters: CounterSource, evidence: EvidenceStore) -> None:
        self._plan, self._counters, self._evidence = plan, counters, evidence
        self._judge = Judge(plan.gates)
        self._cursor: Cursor | None = None
        self._is_kept = False
        self._times: tuple[float, ...] = ()
        self.sequence = 0

    async def open(self, rollout_id: UUID) -> None:
        """Take up where the stored intervals end."""
        log = await self._evidence.load(rollout_id)
        judge = Judge(self._plan.gates)
        for interval in log.intervals:
            judge.add(interval)
            if interval.sequence % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._judge, self._cursor = judge, log.cursor
        self.sequence = len(log.intervals)
        self._is_kept = True

    async def read(self, rollout_id: UUID, progress: Progress) -> bool:
        """Read the counters once; true if both variants had fresh samples.

        Raises Unreachable or Refused when the metrics store cannot answer.
        """
        if not self._is_kept:
            with suppress(TransientError):
                await self.open(rollout_id)
        soak = self._plan.steps[progress.step]
        reading = await self._counters.read(
            self._plan.route,
            self._plan.gates[0].source,
            candidate=self._plan.candidate_at(progress.step),
            stable=Place(position=self._plan.stable.slot),
            window=max(self._plan.policies.probe_interval * 4, timedelta(seconds=10)),
        )
        self._times = _times(reading)
        interval, cursor = advance(
            self._cursor,
            reading,
            sequence=self.sequence,
            step=progress.step,
            weight=soak.weight if isinstance(soak, Soak) else 0,
        )
        if cursor != self._cursor:
            await self._keep(rollout_id, interval, cursor)
        self._cursor = cursor
        if interval is not None:
            self._judge.add(interval)
            self.sequence += 1
        return interval is not None

    async def _keep(self, rollout_id: UUID, interval: Interval | None, cursor: Cursor) -> None:
        """Store what was read; what is not stored is read again, from where the store stands."""
        if not self._is_kept:
            return
        try:
            await self._evidence.append(rollout_id, interval=interval, cursor=cursor)
        except TransientError:  # away, or another watcher of this rollout was first
            self._is_kept = False

    def nap(self, now: datetime) -> timedelta:
        """How long until the next reading: a probe's interval at most, and behind a scrape."""
        probe = self._plan.policies.probe_interval.total_seconds()
        wait = seconds_to_news(self._times, now=now.timestamp(), probe=probe)
        return timedelta(seconds=wait)

    def verdicts(self, step: int) -> tuple[Verdict, ...]:
        verdicts = self._judge.verdicts(step)
        return verdicts if self._is_kept else tuple(map(_unkept, verdicts))

    def failures(self, step: int) -> dict[str, Verdict]:
        """The gates that have failed for good, by name."""
        return {v.gate: v for v in self._judge.verdicts(step) if v.status is Status.FAIL}


def _times(reading: Reading) -> tuple[float, ...]:
    """When the series that was scraped last was scraped."""
    sampled = (each.samples for each in (*reading.candidate, *reading.stable) if each.samples)
    newest = max(sampled, key=lambda samples: samples[-1][0], default=())
    return tuple(at for at, _ in newest)


def _unkept(verdict: Verdict) -> Verdict:
    if verdict.status is not Status.PASS:
        return verdict
    reason = f"{verdict.reason} But {NOT_KEPT}."
    return replace(verdict, status=Status.UNAVAILABLE, reason=reason)
