"""The evidence of one rollout as a watcher keeps it: read, stored, folded into verdicts."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from activities.baselines import Baselines
from activities.books import AnyCursor, AnyInterval, book_of, window_of
from activities.heartbeats import still_wanted
from activities.streams import Stream, heard_at
from domain.errors import TransientError
from domain.evidence.baseline import Baseline
from domain.evidence.rhythm import seconds_to_news
from domain.evidence_port import CounterSource, EvidenceStore, StableHistory
from domain.meters import meter_of, meters_of
from domain.plan import Plan
from domain.progress import Progress
from domain.silence import stale_after
from domain.trial_verdicts import TrialVerdict
from domain.verdicts import Status, Verdict

# Of cursors behind counts under traffic that is not as it is to be: no evidence goes on from there.
NOT_OURS = -1
# A week of intervals takes seconds to fold: heartbeats must get through meanwhile.
YIELD_EVERY = 200


class Ledger:
    """Folds what it reads at once, and keeps it as soon as the registry takes it.

    While the registry is away a failure still counts, from memory; a pass does not. When it is
    back, what lies between joins the stored evidence as one interval: counters lose nothing.
    So it is with counts under traffic that is not as it is to be, but that these are never stored:
    evidence belongs to a weight.
    """

    def __init__(
        self,
        plan: Plan,
        counters: CounterSource,
        evidence: EvidenceStore,
        history: StableHistory,
    ) -> None:
        self._plan, self._counters, self._evidence = plan, counters, evidence
        self._baselines = Baselines(plan, history, counters, evidence)
        self._book = book_of(plan, Baseline())
        meters = meters_of(plan.gates) if plan.trial is None else ()
        self._streams = {meter.name: Stream(plan, meter) for meter in meters}
        self._cursor: AnyCursor | None = None
        self._is_kept = False
        self._has_others = False  # counts under traffic that was not ours
        self._failed: dict[tuple[str, str], Verdict] = {}
        self._times: tuple[float, ...] = ()
        self.sequence = 0
        # When the gateway's counters last showed something new, by our own clock.
        self.fresh_at = datetime.now(UTC)

    async def open(self, rollout_id: UUID) -> None:
        """Take up where the stored intervals end."""
        log = await self._evidence.load(rollout_id)
        await self._baselines.open(rollout_id, log)
        book = book_of(self._plan, self._baselines.standing or Baseline())
        for interval in log.intervals:
            book.add(interval)
            if interval.sequence % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        for name, stream in self._streams.items():
            stream.resume(log.meters.get(name))
            for interval in log.meters[name].intervals if name in log.meters else ():
                book.add(interval, name)
                if interval.sequence % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        self._book, self._cursor = book, log.cursor
        if log.cursor is not None:
            stale = stale_after(self._plan.policies.probe_interval)
            heard = heard_at(log.cursor.opened_at, datetime.now(UTC), stale)
            self.fresh_at = min(self.fresh_at, heard)
        self.sequence = len(log.intervals)
        self._is_kept, self._has_others = True, False

    async def read(self, rollout_id: UUID, progress: Progress, *, is_ours: bool = True) -> bool:
        """Read the counters once; true if all variants had fresh samples.

        `is_ours`: whether the traffic is known of no other weights than those that it is to have.
        Raises one of NO_ANSWER when the metrics store cannot answer.
        """
        self._is_kept = self._is_kept and not (is_ours and self._has_others)
        if not self._is_kept:
            with suppress(TransientError):
                await self.open(rollout_id)
        self._has_others = self._has_others or not is_ours
        division = progress.division + progress.put_backs if is_ours else NOT_OURS
        look = await self._book.look(
            self._counters, progress, self._cursor, self.sequence, division
        )
        await still_wanted()
        if self._baselines.standing is None:
            await self._begin(rollout_id)
        self._times, interval = look.times, look.interval
        if look.cursor != self._cursor:
            await self._keep(rollout_id, interval, look.cursor)
        if self._cursor is None or self._cursor.opened_at != look.cursor.opened_at:
            self.fresh_at = datetime.now(UTC)
        self._cursor = look.cursor
        if interval is not None:
            self._book.add(interval)
            self.sequence += 1
        await asyncio.gather(
            *(
                self._read(stream, rollout_id, progress, division)
                for stream in self._streams.values()
            )
        )
        return interval is not None

    async def _begin(self, rollout_id: UUID) -> None:
        """Measure what all evidence is to be judged by, before there is any."""
        await self._baselines.measure(rollout_id, is_open=self._is_kept)
        self._is_kept = self._is_kept and self._baselines.is_kept
        self._book = book_of(self._plan, self._baselines.standing or Baseline())

    async def _read(
        self, stream: Stream, rollout_id: UUID, progress: Progress, division: int
    ) -> None:
        """Read another meter once. Trouble with it is its own, and told by its gates."""
        read = await stream.look(self._counters, progress, window_of(self._plan), division)
        if read is None:
            return
        await still_wanted()
        name = stream.meter.name
        await self._keep(rollout_id, read.interval, read.cursor, name)
        if read.interval is not None:
            self._book.add(read.interval, name)

    async def _keep(
        self,
        rollout_id: UUID,
        interval: AnyInterval | None,
        cursor: AnyCursor,
        meter: str = "",
    ) -> None:
        """Store what was read; what is not stored is read again, from where the store stands."""
        if not self._is_kept:
            return
        if cursor.division == NOT_OURS:
            interval = None
        try:
            await self._evidence.append(rollout_id, interval=interval, cursor=cursor, meter=meter)
        except TransientError:  # away, or another watcher of this rollout was first
            self._is_kept = False

    def nap(self, now: datetime) -> timedelta:
        """How long until the next reading: a probe's interval at most, and behind a scrape."""
        probe = self._plan.policies.probe_interval.total_seconds()
        wait = seconds_to_news(self._times, now=now.timestamp(), probe=probe)
        return timedelta(seconds=wait)

    def verdicts(self, progress: Progress) -> tuple[Verdict, ...]:
        """What every gate says. A FAIL stays one, also where what it rests on was not stored.

        Only one of traffic that was not ours goes with that.
        """
        found = tuple(map(self._of_what_speaks, self._book.verdicts(progress)))
        of_ours = () if self._has_others else found
        for verdict in (*progress.seen.verdicts, *of_ours):
            if verdict.status is Status.FAIL:
                self._failed.setdefault((verdict.gate, verdict.variant), verdict)
        stand = tuple(self._failed.get((each.gate, each.variant), each) for each in found)
        return stand if self._is_kept else tuple(verdict.unkept for verdict in stand)

    def _of_what_speaks(self, verdict: Verdict) -> Verdict:
        """The verdict; unavailable where its meter is silent. What has failed stays failed."""
        gate = next(gate for gate in self._plan.gates if gate.name == verdict.gate)
        stream = self._streams.get(meter_of(gate).name)
        silence = "" if stream is None else stream.silence(datetime.now(UTC))
        if not silence or verdict.status is Status.FAIL:
            return verdict
        reason = f"The counts are unavailable: {silence}"
        return Verdict(gate=verdict.gate, status=Status.UNAVAILABLE, reason=reason)

    def trial(self, progress: Progress) -> TrialVerdict | None:
        """How a trial stands; None where there is none, or nothing is kept of what it shows."""
        return self._book.trial(progress) if self._is_evidence else None

    def due(self, progress: Progress, now: datetime) -> Mapping[str, int] | None:
        """The weights that a trial's arms should have by now."""
        return self._book.due(progress, now) if self._is_evidence else None

    @property
    def _is_evidence(self) -> bool:
        """Whether all that is folded is kept, and counted under the traffic that was to be."""
        return self._is_kept and not self._has_others
