"""The stream of one meter beside the gateway's, as a watcher keeps it: read, counted, how fresh."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.errors import NO_ANSWER
from domain.evidence.counters import ArmCursor, Cursor, Reading, advance
from domain.evidence.intervals import Interval
from domain.evidence_port import CounterSource, MeterLog
from domain.meters import Meter
from domain.plan import Plan
from domain.progress import Progress
from domain.silence import stale_after
from domain.steps import Soak

CANDIDATE, STABLE = ARMS = ("candidate", "stable")
WHO = {CANDIDATE: "the candidate", STABLE: "stable"}
NEVER = "nothing yet"


def heard_at(sampled_at: float | None, now: datetime, stale: timedelta) -> datetime:
    """When a stored sample (unix seconds) counts as heard, for a watcher that takes it up now.

    That is now, since it had no time to hear a newer one. But one that is older than `stale` is as
    old as it is: nobody has heard its meter for so long.
    """
    if sampled_at is None:
        return now
    at = datetime.fromtimestamp(sampled_at, UTC)
    return at if now - at > stale else now


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One reading taken in: the interval that it closed, and the cursor behind it."""

    interval: Interval | None
    cursor: Cursor


class Stream:
    """Where the meter's counters stand, and whether they still say something.

    A meter that is silent leaves the others alone: only its own gates are unavailable.
    """

    def __init__(self, plan: Plan, meter: Meter) -> None:
        self._plan, self.meter = plan, meter
        self._stale = stale_after(plan.policies.probe_interval)
        self._trouble = ""
        self._fresh_at = datetime.now(UTC)
        # By our own clock: that of whoever gives samples their times may differ.
        self._moved_at = dict.fromkeys(ARMS, self._fresh_at)
        self._cursor: Cursor | None = None
        self._sequence = 0

    def resume(self, log: MeterLog | None) -> None:
        """Take up where the stored stream ends."""
        self._cursor = None if log is None else log.cursor
        self._sequence = 0 if log is None else len(log.intervals)
        if self._cursor is None:
            return
        now = datetime.now(UTC)
        heard = heard_at(self._cursor.opened_at, now, self._stale)
        self._fresh_at = min(self._fresh_at, heard)
        for arm in ARMS:
            samples = _arm(self._cursor, arm).last.values()
            newest = max((at for at, _ in samples), default=None)
            self._moved_at[arm] = min(self._moved_at[arm], heard_at(newest, now, self._stale))

    async def look(
        self, counters: CounterSource, progress: Progress, window: timedelta, division: int
    ) -> Read | None:
        """Read the counters once; None where that brought nothing new."""
        plan = self._plan
        workloads = {CANDIDATE: plan.candidate, STABLE: plan.stable}
        try:
            arms = await counters.read_workloads(
                plan.route,
                self.meter,
                workloads={arm: one.workload.name for arm, one in workloads.items()},
                window=window,
            )
        except NO_ANSWER as error:
            self._trouble = str(error)
            return None
        self._trouble = ""
        soak = plan.steps[progress.step]
        interval, cursor = advance(
            self._cursor,
            Reading(candidate=arms[CANDIDATE], stable=arms[STABLE]),
            sequence=self._sequence,
            step=progress.step,
            weight=soak.weight if isinstance(soak, Soak) else 0,
            division=division,
        )
        if cursor == self._cursor:
            return None
        self._note(cursor)
        if interval is not None:
            self._sequence += 1
            self._fresh_at = datetime.now(UTC)
        return Read(interval=interval, cursor=cursor)

    def _note(self, cursor: Cursor) -> None:
        """Keep where the counters stand now, and of whom they show something new."""
        before, self._cursor = self._cursor, cursor
        for arm in ARMS:
            if before is None or _arm(before, arm).last != _arm(cursor, arm).last:
                self._moved_at[arm] = datetime.now(UTC)

    def silence(self, now: datetime) -> str:
        """Why nothing can be concluded of the meter; nothing where it can.

        Most sources show a series with its first request. So a candidate of whom nothing was ever
        shown, beside a stable that is, has not been counted yet: that is no silence.
        """
        name = self.meter.source
        if self._trouble:
            return f"{name} cannot be read: {self._trouble}"
        if now - self._fresh_at <= self._stale:
            return ""
        since = {arm: self._since(arm, now) for arm in ARMS}
        if since == {CANDIDATE: NEVER, STABLE: ""}:
            return ""
        told = [f"{said} of {WHO[arm]}" for arm, said in since.items() if said]
        return f"{name} shows {' and '.join(told)}" if told else ""

    def _since(self, arm: str, now: datetime) -> str:
        """Since when an arm shows nothing new; nothing where it does."""
        if self._cursor is None or not _arm(self._cursor, arm).last:
            return NEVER
        moved_at = self._moved_at[arm]
        return "" if now - moved_at <= self._stale else f"nothing since {moved_at:%H:%M:%S} UTC"


def _arm(cursor: Cursor, arm: str) -> ArmCursor:
    return cursor.candidate if arm == CANDIDATE else cursor.stable
