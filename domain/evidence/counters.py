"""Raw counter samples to the counts of intervals, losing nothing and inventing nothing.

Differences are taken here, sample by sample, never by a query's rate() or increase(): those
extrapolate. Where the samples come from is not known here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

from domain.evidence.intervals import Counts, Interval

Sample = tuple[float, float]
"""Unix seconds, value."""

_ROUNDING = 1e-6  # a counter of 2.9999999 counted three requests


class SeriesRole(StrEnum):
    """What a series counts. Several series of one role in one arm add up.

    STARTED counts requests as they begin: settling looks at those, evidence only at finished ones.
    """

    STARTED = "started"
    REQUESTS = "requests"
    ERRORS = "errors"
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter of one arm. `key` names it for good, across readings; samples ascend in time.

    A BUCKET counts the requests that took at most `bound_ms`; the one of infinity counts all that
    were timed.
    """

    key: str
    role: SeriesRole
    bound_ms: float | None = None
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the store holds of both arms at one look; samples seen before do no harm."""

    candidate: tuple[Series, ...]
    stable: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """Increments counted but not yet in an interval: waiting for the other arm, or clamped off.

    `within` holds (bound, increments) with ascending finite bounds. `timed` is None while the arm
    has no bucket of infinity.
    """

    requests: float = 0.0
    errors: float = 0.0
    timed: float | None = None
    within: tuple[tuple[float, float], ...] = ()
    resets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCursor:
    """Where one arm stands: the last sample of each series, and the newest one given out."""

    last: Mapping[str, Sample] = field(default_factory=dict)
    given_until: float | None = None
    owed: Owed = Owed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where the next interval begins. Plain JSON values: it is stored beside the intervals.

    `opened_at` (unix seconds) is None until the first sample of either arm was seen.
    """

    step: int
    opened_at: float | None
    candidate: ArmCursor
    stable: ArmCursor


def advance(
    cursor: Cursor | None, reading: Reading, *, sequence: int, step: int, weight: int
) -> tuple[Interval | None, Cursor]:
    """Take a reading in: the interval it closes, if it closes one, and the cursor behind it.

    The first reading (no cursor, or one of another step: evidence belongs to a weight) opens and
    closes nothing. An interval closes when both arms have a newer sample than the one before it
    had; until then increments wait in the cursor, so that several scrapes merge without loss.
    """
    opens = cursor is None or cursor.step != step or cursor.opened_at is None
    before = cursor or Cursor(step=step, opened_at=None, candidate=ArmCursor(), stable=ArmCursor())
    candidate = _read(before.candidate, reading.candidate, is_first=before.opened_at is None)
    stable = _read(before.stable, reading.stable, is_first=before.opened_at is None)
    if opens:
        opened = Cursor(
            step=step,
            opened_at=_latest(_newest(candidate), _newest(stable)),
            candidate=_opened(candidate),
            stable=_opened(stable),
        )
        return None, opened
    waiting = replace(before, candidate=candidate, stable=stable)
    if not (_has_news(candidate) and _has_news(stable)):
        return None, waiting
    return _close(waiting, sequence=sequence, weight=weight)


def increase(values: Sequence[float]) -> float:
    """How much a counter grew over the samples: b - a, or b after a reset; no extrapolation."""
    return sum(after - before if after >= before else after for before, after in pairwise(values))


def resets(values: Sequence[float]) -> int:
    """How often a counter began anew: each drop between neighbours is one."""
    return sum(after < before for before, after in pairwise(values))


def _read(arm: ArmCursor, series: Iterable[Series], *, is_first: bool) -> ArmCursor:
    """Count what is new in each series; the very first reading only sets the marks."""
    finished = (one for one in series if one.role is not SeriesRole.STARTED)
    fresh = [(one, samples) for one in finished if (samples := _unseen(arm, one))]
    known_since = min(
        (*(at for at, _ in arm.last.values()), *(samples[0][0] for _, samples in fresh)),
        default=math.inf,
    )
    last, owed = dict(arm.last), arm.owed
    for one, samples in fresh:
        begin = _begin(arm, one.key, samples[0], known_since)
        values = [begin, *(value for _, value in samples)]
        growth = 0.0 if is_first else increase(values)
        owed = _owing(owed, one, growth, 0 if is_first else resets(values))
        last[one.key] = samples[-1]
    return replace(arm, last=last, owed=owed)


def _unseen(arm: ArmCursor, series: Series) -> list[Sample]:
    """The samples newer than the last one counted; stale markers (NaN) are no samples."""
    seen_until = arm.last[series.key][0] if series.key in arm.last else -math.inf
    return [(at, value) for at, value in series.samples if at > seen_until and math.isfinite(value)]


def _begin(arm: ArmCursor, key: str, first: Sample, known_since: float) -> float:
    """What a series stood at before its first unseen sample.

    A series that appears while the arm was already being scraped was born since and counts from 0
    (a proxy shows its error counter with the first error); otherwise its past is not ours.
    """
    if key in arm.last:
        return arm.last[key][1]
    return 0.0 if known_since < first[0] else first[1]


def _owing(owed: Owed, series: Series, growth: float, began_anew: int) -> Owed:
    owed = replace(owed, resets=owed.resets + began_anew)
    match series.role:
        case SeriesRole.REQUESTS:
            return replace(owed, requests=owed.requests + growth)
        case SeriesRole.ERRORS:
            return replace(owed, errors=owed.errors + growth)
        case SeriesRole.BUCKET:
            return _owing_bucket(owed, series, growth)
        case SeriesRole.STARTED:
            return owed


def _owing_bucket(owed: Owed, series: Series, growth: float) -> Owed:
    if series.bound_ms is None:
        raise ValueError(f"the bucket {series.key} has no bound")
    if math.isinf(series.bound_ms):
        return replace(owed, timed=(owed.timed or 0.0) + growth)
    within = dict(owed.within)
    within[series.bound_ms] = within.get(series.bound_ms, 0.0) + growth
    return replace(owed, within=tuple(sorted(within.items())))


def _newest(arm: ArmCursor) -> float | None:
    return max((at for at, _ in arm.last.values()), default=None)


def _latest(*times: float | None) -> float | None:
    return max((at for at in times if at is not None), default=None)


def _has_news(arm: ArmCursor) -> bool:
    newest = _newest(arm)
    return newest is not None and (arm.given_until is None or newest > arm.given_until)


def _opened(arm: ArmCursor) -> ArmCursor:
    """The marks without the increments before them; the bounds stay known."""
    owed = Owed(
        timed=None if arm.owed.timed is None else 0.0,
        within=tuple((bound, 0.0) for bound, _ in arm.owed.within),
    )
    return ArmCursor(last=arm.last, given_until=_newest(arm), owed=owed)


def _close(cursor: Cursor, *, sequence: int, weight: int) -> tuple[Interval, Cursor]:
    bounds = _common_bounds(cursor.candidate.owed, cursor.stable.owed)
    candidate, candidate_left = _give(cursor.candidate.owed, bounds)
    stable, stable_left = _give(cursor.stable.owed, bounds)
    until = _latest(_newest(cursor.candidate), _newest(cursor.stable))
    interval = Interval(
        sequence=sequence,
        step=cursor.step,
        weight=weight,
        opened_at=_moment(cursor.opened_at),
        closed_at=_moment(until),
        candidate=candidate,
        stable=stable,
        bounds_ms=bounds,
        resets=cursor.candidate.owed.resets + cursor.stable.owed.resets,
    )
    behind = Cursor(
        step=cursor.step,
        opened_at=until,
        candidate=_given(cursor.candidate, candidate_left),
        stable=_given(cursor.stable, stable_left),
    )
    return interval, behind


def _given(arm: ArmCursor, left: Owed) -> ArmCursor:
    return ArmCursor(last=arm.last, given_until=_newest(arm), owed=left)


def _moment(at: float | None) -> datetime:
    if at is None:
        raise ValueError("an interval closes only after it was opened")
    return datetime.fromtimestamp(at, UTC)


def _common_bounds(candidate: Owed, stable: Owed) -> tuple[float, ...]:
    """The bounds at which both arms count; those of one arm while the other was never timed."""
    mine, other = {bound for bound, _ in candidate.within}, {bound for bound, _ in stable.within}
    return tuple(sorted(mine & other if mine and other else mine | other))


def _give(owed: Owed, bounds: tuple[float, ...]) -> tuple[Counts, Owed]:
    """Whole counts that agree with each other, and what is left for the next interval.

    Counters of one scrape are not of one instant: errors may run ahead of requests, a bucket ahead
    of its larger neighbour. Bad is clamped to requests and buckets raised to their running maximum;
    the difference, of either sign, is made up for later, so totals over time are exact.
    """
    requests = _whole(owed.requests)
    errors = min(_whole(owed.errors), requests)
    timed = _timed(owed, bounds)
    grown, within, below = dict(owed.within), [], 0
    for bound in bounds:
        below = min(max(below, _whole(grown.get(bound, 0.0))), requests if timed is None else timed)
        within.append(below)
        if bound in grown:
            grown[bound] -= below
    left = Owed(
        requests=owed.requests - requests,
        errors=owed.errors - errors,
        timed=None if owed.timed is None else owed.timed - (timed or 0),
        within=tuple((bound, grown[bound] if bound in bounds else 0.0) for bound in sorted(grown)),
    )
    counts = Counts(requests=requests, errors=errors, within=tuple(within), timed=timed)
    return counts, left


def _timed(owed: Owed, bounds: tuple[float, ...]) -> int | None:
    """How many requests were timed; none of an arm without a histogram beside one that has it."""
    if owed.timed is not None:
        return _whole(owed.timed)
    return 0 if bounds and not owed.within else None


def _whole(increments: float) -> int:
    return max(0, math.floor(increments + _ROUNDING))
