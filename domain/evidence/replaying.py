"""A stored range of samples, replayed as a watch would have seen it: what fires, when, and why.

The samples come in pieces, so that a week need not be held at once. They are looked at each `probe`
and go through the same `advance` and the same Judge as those of a rollout that runs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.evidence import reasons
from domain.evidence.counters import Cursor, Reading, Sample, Series, SeriesRole, advance
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence.judge import Judge
from domain.gates import Gate, Metric
from domain.meters import GATEWAY, meter_of
from domain.verdicts import Status, Verdict

# As for a watch: so many probes without a fresh sample, or so long, are a hole.
STALE_PROBES = 3
STALE_AT_LEAST = timedelta(seconds=10)
_CLOSE = 0.0005  # samples are stamped in milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time during which one weight held; `weight` is for words only and 0 where it is unknown."""

    step: int
    weight: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """The first moment of a status, with the verdict of that moment."""

    at: datetime
    seconds: float
    step: int
    weight: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReplay:
    """What one gate would have said: first, and by the end."""

    gate: str
    first_fail: Fired | None
    first_pass: Fired | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """`missing` says in sentences what the store does not have (any more) of the range."""

    samples: int
    intervals: int
    missing: tuple[str, ...]
    gates: tuple[GateReplay, ...]

    @property
    def fired(self) -> tuple[str, ...]:
        """The gates that failed, by name."""
        return tuple(each.gate for each in self.gates if each.first_fail is not None)


def stretches_of(
    intervals: Iterable[Interval | ArmsInterval], arm: str = "", stable: str = ""
) -> tuple[Stretch, ...]:
    """The times at one weight that stored intervals tell of; of a trial those of one arm."""
    found: list[Stretch] = []
    for each in intervals:
        one = each if isinstance(each, Interval) else each.pair(arm, stable)
        if one is None:
            continue
        here = Stretch(step=one.step, weight=one.weight, since=one.opened_at, until=one.closed_at)
        last = found[-1] if found else None
        if last and (last.step, last.weight) == (here.step, here.weight):
            found[-1] = replace(last, until=here.until)
        else:
            found.append(here)
    return tuple(found)


@dataclass(slots=True)
class _Stream:
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
        self._streams: dict[str, _Stream] = {}
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
            stream = self._streams.setdefault(one.key, _Stream(one))
            stream.samples.extend(fresh)
            self._newest[one.key] = fresh[-1][0]
            self.samples += len(fresh)
            self.first = min(fresh[0][0], fresh[0][0] if self.first is None else self.first)
            self.last = max(fresh[-1][0], fresh[-1][0] if self.last is None else self.last)

    def until(self, moment: float) -> tuple[Series, ...]:
        """Give the samples up to a moment out, each once."""
        given = []
        for stream in self._streams.values():
            count = bisect_right(stream.samples, moment + _CLOSE, key=_time)
            if count:
                given.append(stream.give(count))
        return tuple(given)


class Replay:
    """One watch over all stretches of a range. Open a stretch, then take its pieces in order."""

    def __init__(self, gates: Sequence[Gate], *, probe: timedelta, **terms: Any) -> None:
        """`terms` are those of `Judge`.

        Gates on other meters than the gateway's count among the chances of a false alarm, as they
        do in a rollout, but are not replayed.
        """
        self._gates, self._probe = tuple(gates), probe
        self._judge = Judge(gates, **terms)
        self._times_count = any(gate.metric is not Metric.ERROR_RATE for gate in gates)
        self._candidate, self._stable = _Arm(), _Arm()
        self._cursor: Cursor | None = None
        self._stretch: Stretch | None = None
        self._since: datetime | None = None
        self._due = 0.0
        self._intervals = 0
        self._firsts: dict[tuple[str, Status], Fired] = {}
        self._statuses: tuple[Status, ...] = ()
        self._gap: tuple[float, datetime] | None = None

    @property
    def samples(self) -> int:
        """How many were taken in."""
        return self._candidate.samples + self._stable.samples

    @property
    def lookback(self) -> timedelta:
        """How long before a stretch its samples are to begin: its first look finds one there."""
        return stale_after(self._probe)

    def open(self, stretch: Stretch) -> None:
        """Begin a stretch, which must not begin before the last one ended."""
        self._stretch, self._due = stretch, stretch.since.timestamp()
        self._since = self._since or stretch.since

    def take(self, piece: Reading, until: datetime) -> None:
        """Look at a piece, which has all samples up to `until`, at each moment that is due."""
        self._candidate.take(filter(self._is_judged, piece.candidate))
        self._stable.take(filter(self._is_judged, piece.stable))
        if self._stretch is None:
            raise ValueError("a stretch must be opened first")
        end = min(until, self._stretch.until).timestamp()
        while self._due < end + _CLOSE:
            self._look(self._stretch, self._due)
            self._due += self._probe.total_seconds()
        if until >= self._stretch.until:
            self._look(self._stretch, end)  # what came behind the last probe

    def _is_judged(self, series: Series) -> bool:
        """Most of what is read are buckets, which no gate on errors asks for."""
        return self._times_count or series.role is not SeriesRole.BUCKET

    def _look(self, stretch: Stretch, moment: float) -> None:
        reading = Reading(
            candidate=self._candidate.until(moment), stable=self._stable.until(moment)
        )
        interval, self._cursor = advance(
            self._cursor,
            reading,
            sequence=self._intervals,
            step=stretch.step,
            weight=stretch.weight,
        )
        if interval is not None:
            self._fold(interval)

    def _fold(self, interval: Interval) -> None:
        self._intervals += 1
        length = (interval.closed_at - interval.opened_at).total_seconds()
        if self._gap is None or length > self._gap[0]:
            self._gap = (length, interval.closed_at)
        self._judge.add(interval)
        statuses = self._judge.statuses(interval.step)
        if statuses != self._statuses:
            self._note(interval)
        self._statuses = statuses

    def _note(self, interval: Interval) -> None:
        """Keep the verdicts of those that PASS or FAIL for the first time."""
        began = self._since or interval.opened_at
        for gate, verdict in self._verdicts(interval.step):
            if verdict.status in (Status.PASS, Status.FAIL):
                fired = Fired(
                    at=interval.closed_at,
                    seconds=(interval.closed_at - began).total_seconds(),
                    step=interval.step,
                    weight=interval.weight,
                    verdict=verdict,
                )
                self._firsts.setdefault((gate.name, verdict.status), fired)

    def _verdicts(self, step: int) -> Iterator[tuple[Gate, Verdict]]:
        """Those of the gates that are replayed."""
        for gate, verdict in zip(self._gates, self._judge.verdicts(step), strict=True):
            if is_replayed(gate):
                yield gate, verdict

    def result(self, stretches: Sequence[Stretch]) -> Replayed:
        """What was found in these stretches. Where nothing was counted, no gate has a verdict."""
        missing = tuple(self._missing(stretches))
        step = stretches[-1].step
        return Replayed(
            samples=self.samples,
            intervals=self._intervals,
            missing=missing,
            gates=tuple(
                GateReplay(
                    gate=gate.name,
                    first_fail=self._firsts.get((gate.name, Status.FAIL)),
                    first_pass=self._firsts.get((gate.name, Status.PASS)),
                    verdict=verdict if self._intervals else _unavailable(gate, missing),
                )
                for gate, verdict in self._verdicts(step)
            ),
        )

    def _missing(self, stretches: Sequence[Stretch]) -> Iterable[str]:
        since, until = stretches[0].since, stretches[-1].until
        stale = stale_after(self._probe).total_seconds()
        for name, arm in (("the candidate", self._candidate), ("stable", self._stable)):
            if arm.first is None or arm.last is None:
                yield f"No samples of {name} from {_told(since)} to {_told(until)}."
                continue
            if arm.first > since.timestamp() + stale:
                yield f"No samples of {name} before {_told(_at(arm.first))}."
            if arm.last < until.timestamp() - stale:
                yield f"No samples of {name} after {_told(_at(arm.last))}."
        if self._gap and self._gap[0] > max(stale, 2 * self._probe.total_seconds()):
            length, closed = self._gap
            yield f"No fresh sample of both for {length:,.0f} s until {_told(closed)}."
        if not self._intervals and self._candidate.samples and self._stable.samples:
            yield "Too few samples of both to count anything."


def is_replayed(gate: Gate) -> bool:
    """Only what the gateway counts is, at bounds that are known."""
    return meter_of(gate) == GATEWAY and not gate.takes_bounds_of_stable


def _time(sample: Sample) -> float:
    return sample[0]


def stale_after(probe: timedelta) -> timedelta:
    """How long without a fresh sample is a hole."""
    return max(probe * STALE_PROBES, STALE_AT_LEAST)


def _unavailable(gate: Gate, missing: Sequence[str]) -> Verdict:
    because = " ".join(missing) or "Nothing was counted."
    return Verdict(gate=gate.name, status=Status.UNAVAILABLE, reason=because)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _told(at: datetime) -> str:
    return reasons.moment(at)
