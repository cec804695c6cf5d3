"""One meter over a range of the past: its samples, looked at as by a watch, and its gaps."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from domain.evidence import reasons
from domain.evidence.counters import Cursor, Reading, Sample, Series, SeriesRole, advance
from domain.evidence.intervals import Interval
from domain.meters import Meter

CLOSE = 0.0005  # samples are stamped in milliseconds


@dataclass(slots=True)
class _Pending:
    """The samples of one series that no look has taken yet."""

    series: Series
    samples: list[Sample] = field(default_factory=list)

    def give(self, count: int) -> Series:
        """Take the first ones out."""
        given, self.samples[:count] = tuple(self.samples[:count]), []
        one = self.series
        return Series(key=one.key, role=one.role, bound_ms=one.bound_ms, samples=given)


class _Arm:
    """What is known of one arm between two looks, and of when it was scraped at all."""

    def __init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._newest: dict[str, float] = {}
        self.first: float | None = None
        self.last: float | None = None
        self.samples = 0

    def take(self, series: Iterable[Series]) -> None:
        for one in series:
            seen = self._newest.get(one.key, float("-inf"))
            fresh = [sample for sample in one.samples if sample[0] > seen]
            if not fresh:
                continue
            pending = self._pending.setdefault(one.key, _Pending(one))
            pending.samples.extend(fresh)
            self._newest[one.key] = fresh[-1][0]
            self.samples += len(fresh)
            self.first = min(fresh[0][0], fresh[0][0] if self.first is None else self.first)
            self.last = max(fresh[-1][0], fresh[-1][0] if self.last is None else self.last)

    def until(self, moment: float) -> tuple[Series, ...]:
        """Give the samples up to a moment out, each once."""
        given = []
        for pending in self._pending.values():
            count = bisect_right(pending.samples, moment + CLOSE, key=_time)
            if count:
                given.append(pending.give(count))
        return tuple(given)


class ReplayedMeter:
    """A stream of intervals with a cursor of its own. Take samples in, then look, in order.

    Without `is_timed` buckets are left out: they are most of what is read, and no gate on failures
    asks for them.
    """

    def __init__(self, meter: Meter, *, is_timed: bool) -> None:
        self.meter, self._is_timed = meter, is_timed
        self._candidate, self._stable = _Arm(), _Arm()
        self._cursor: Cursor | None = None
        self._gap: tuple[float, datetime] | None = None
        self._fresh_at = float("-inf")
        self.intervals = 0

    @property
    def samples(self) -> int:
        """How many were taken in."""
        return self._candidate.samples + self._stable.samples

    @property
    def kept(self) -> tuple[datetime, datetime] | None:
        """From when to when there are samples of either arm; None without any."""
        arms = (self._candidate, self._stable)
        firsts = [arm.first for arm in arms if arm.first is not None]
        lasts = [arm.last for arm in arms if arm.last is not None]
        return (_at(min(firsts)), _at(max(lasts))) if firsts and lasts else None

    def take(self, piece: Reading) -> None:
        """Take samples in that are not looked at yet; those that were seen before do no harm."""
        self._candidate.take(filter(self._is_judged, piece.candidate))
        self._stable.take(filter(self._is_judged, piece.stable))

    def open(self, since: datetime) -> None:
        """Begin a stretch: as a watch that begins, it waits for samples before it calls a hole.

        What came since the last stretch is nobody's: the next look opens the cursor anew.
        """
        self._fresh_at = max(self._fresh_at, since.timestamp())
        if self._cursor is not None:
            self._cursor = replace(self._cursor, opened_at=None)

    def look(self, moment: float, *, step: int, weight: int) -> Interval | None:
        """Look at all samples up to a moment (unix seconds): the interval that closes, if any."""
        reading = Reading(
            candidate=self._candidate.until(moment), stable=self._stable.until(moment)
        )
        interval, self._cursor = advance(
            self._cursor, reading, sequence=self.intervals, step=step, weight=weight
        )
        if interval is None:
            return None
        self.intervals += 1
        self._fresh_at = moment
        length = (interval.closed_at - interval.opened_at).total_seconds()
        if self._gap is None or length > self._gap[0]:
            self._gap = (length, interval.closed_at)
        return interval

    def is_silent(self, moment: float, stale: float) -> bool:
        """Whether no interval has closed for longer than `stale` seconds."""
        return moment - self._fresh_at > stale

    def missing(self, since: datetime, until: datetime, *, stale: float, hole: float) -> list[str]:
        """What the store does not have of the range, in sentences; times are in seconds."""
        return [self._told(what) for what in self._gaps(since, until, stale, hole)]

    def _gaps(self, since: datetime, until: datetime, stale: float, hole: float) -> Iterator[str]:
        for name, arm in (("the candidate", self._candidate), ("stable", self._stable)):
            if arm.first is None or arm.last is None:
                yield f"no samples of {name} from {_told(since)} to {_told(until)}."
                continue
            if arm.first > since.timestamp() + stale:
                yield f"no samples of {name} before {_told(_at(arm.first))}."
            if arm.last < until.timestamp() - stale:
                yield f"no samples of {name} after {_told(_at(arm.last))}."
        if self._gap and self._gap[0] > hole:
            length, closed = self._gap
            yield f"no fresh sample of both for {length:,.0f} s until {_told(closed)}."
        if not self.intervals and self._candidate.samples and self._stable.samples:
            yield "too few samples of both to count anything."

    def _told(self, what: str) -> str:
        """The gateway's gaps are those of the range; another meter's are told under its name."""
        name = self.meter.name
        return f"{name}: {what}" if name else f"{what[0].upper()}{what[1:]}"

    def _is_judged(self, series: Series) -> bool:
        return self._is_timed or series.role is not SeriesRole.BUCKET


def _time(sample: Sample) -> float:
    return sample[0]


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _told(at: datetime) -> str:
    return reasons.moment(at)
