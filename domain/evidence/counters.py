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

from domain.evidence.intervals import ArmsInterval, CountedArm, Counts, Interval

Sample = tuple[float, float]
"""Unix seconds, value."""

_ROUNDING = 1e-6  # a counter of 2.9999999 counted three requests


class SeriesRole(StrEnum):
    """What a series counts. Several series of one role in one arm add up.

    STARTED counts requests as they begin: settling and the check of the split look at those, the
    tests of a gate only at finished ones.
    TRIED and WON are counted by whoever uses the answers.
    """

    STARTED = "started"
    REQUESTS = "requests"
    ERRORS = "errors"
    BUCKET = "bucket"
    TRIED = "tried"
    WON = "won"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter of one arm. `key` names it for good, across readings; samples ascend in time.

    A BUCKET counts the requests that took at most `bound_ms`; the one of infinity counts all that
    were timed. `target` names what was scraped: a proxy or a pod shows all of its series at once.
    """

    key: str
    role: SeriesRole
    bound_ms: float | None = None
    target: str = ""
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
    has no bucket of infinity, `started` while nobody counts what begins. `tried` and `won` are
    counted for trials only.
    """

    started: float | None = None
    tried: float = 0.0
    won: float = 0.0
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

    `opened_at` (unix seconds) is None until the first sample of either arm was seen. `division`
    tells times apart in which the traffic of one step stood, as in an ArmsCursor.
    """

    step: int
    opened_at: float | None
    candidate: ArmCursor
    stable: ArmCursor
    division: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsCursor:
    """As a Cursor, for the arms of a trial, whose traffic was divided anew `division` times."""

    step: int
    division: int
    opened_at: float | None
    arms: Mapping[str, ArmCursor]


def advance(
    cursor: Cursor | None,
    reading: Reading,
    *,
    sequence: int,
    step: int,
    weight: int,
    division: int = 0,
) -> tuple[Interval | None, Cursor]:
    """Take a reading of two arms in, as `advance_arms` does."""
    found, behind = advance_arms(
        None if cursor is None else _of_two(cursor),
        {"candidate": reading.candidate, "stable": reading.stable},
        sequence=sequence,
        step=step,
        weights={"candidate": weight},
        division=division,
    )
    interval = None if found is None else found.pair("candidate", "stable")
    return interval, Cursor(
        step=behind.step,
        opened_at=behind.opened_at,
        candidate=behind.arms["candidate"],
        stable=behind.arms["stable"],
        division=behind.division,
    )


def advance_arms(
    cursor: ArmsCursor | None,
    reading: Mapping[str, Iterable[Series]],
    *,
    sequence: int,
    step: int,
    weights: Mapping[str, int],
    division: int = 0,
) -> tuple[ArmsInterval | None, ArmsCursor]:
    """Take a reading in: the interval it closes, if it closes one, and the cursor behind it.

    The first reading (no cursor, or one of another step or division: evidence belongs to a weight)
    opens and closes nothing. An interval closes when all arms have a newer sample than the one
    before it had; until then increments wait in the cursor, so that several scrapes merge without
    loss.
    """
    is_first = cursor is None or cursor.opened_at is None
    before = {} if cursor is None else cursor.arms
    arms = {
        name: _read(before.get(name, ArmCursor()), series, is_first=is_first)
        for name, series in reading.items()
    }
    if is_first or cursor is None or (cursor.step, cursor.division) != (step, division):
        opened_at, arms = _newest_of(arms), {name: _opened(arm) for name, arm in arms.items()}
        return None, ArmsCursor(step=step, division=division, opened_at=opened_at, arms=arms)
    waiting = replace(cursor, arms=arms)
    if not all(map(_has_news, arms.values())):
        return None, waiting
    return _close(waiting, sequence=sequence, weights=weights)


def _of_two(cursor: Cursor) -> ArmsCursor:
    arms = {"candidate": cursor.candidate, "stable": cursor.stable}
    return ArmsCursor(
        step=cursor.step, division=cursor.division, opened_at=cursor.opened_at, arms=arms
    )


def increase(values: Sequence[float]) -> float:
    """How much a counter grew over the samples: b - a, or b after a reset; no extrapolation."""
    return sum(after - before if after >= before else after for before, after in pairwise(values))


def resets(values: Sequence[float]) -> int:
    """How often a counter began anew: each drop between neighbours is one."""
    return sum(after < before for before, after in pairwise(values))


def _read(arm: ArmCursor, series: Iterable[Series], *, is_first: bool) -> ArmCursor:
    """Count what is new in each series; the very first reading only sets the marks."""
    listed = tuple(series)
    fresh = [(one, samples) for one in listed if (samples := _unseen(arm, one))]
    known_since = _known_since(arm, listed, fresh)
    last, grown, began_anew = dict(arm.last), [], 0
    for one, samples in fresh:
        begin = _begin(arm, one.key, samples[0], known_since[one.target])
        values = [begin, *(value for _, value in samples)]
        grown.append((one, 0.0 if is_first else increase(values)))
        began_anew += 0 if is_first else resets(values)
        last[one.key] = samples[-1]
    return replace(arm, last=last, owed=_owing(arm.owed, grown, began_anew))


def _known_since(
    arm: ArmCursor, series: Iterable[Series], fresh: Iterable[tuple[Series, Sequence[Sample]]]
) -> Mapping[str, float]:
    """By target, a moment from which on it has been scraped for this arm."""
    since: dict[str, float] = {}
    moments = [(one.target, arm.last[one.key][0]) for one in series if one.key in arm.last]
    for target, at in (*moments, *((one.target, samples[0][0]) for one, samples in fresh)):
        since[target] = min(at, since.get(target, at))
    return since


def _unseen(arm: ArmCursor, series: Series) -> list[Sample]:
    """The samples newer than the last one counted; stale markers (NaN) are no samples."""
    seen_until = arm.last[series.key][0] if series.key in arm.last else -math.inf
    return [(at, value) for at, value in series.samples if at > seen_until and math.isfinite(value)]


def _begin(arm: ArmCursor, key: str, first: Sample, known_since: float) -> float:
    """What a series stood at before its first unseen sample.

    A series that appears while its target was already being scraped was born since and counts from
    0 (a proxy shows its error counter with the first error). Otherwise its past is not ours: a
    proxy may come back, or be found by the store, with all that a slot has ever counted.
    """
    if key in arm.last:
        return arm.last[key][1]
    return 0.0 if known_since < first[0] else first[1]


def _owing(owed: Owed, grown: Iterable[tuple[Series, float]], began_anew: int) -> Owed:
    """Add what each series has grown by, all at once: a reading has dozens of them."""
    sums = {role.value: getattr(owed, role) for role in SeriesRole if role != SeriesRole.BUCKET}
    timed, within = owed.timed, dict(owed.within)
    for series, growth in grown:
        if series.role is not SeriesRole.BUCKET:
            sums[series.role.value] = (sums[series.role.value] or 0.0) + growth
        elif series.bound_ms is None:
            raise ValueError(f"the bucket {series.key} has no bound")
        elif math.isinf(series.bound_ms):
            timed = (timed or 0.0) + growth
        else:
            within[series.bound_ms] = within.get(series.bound_ms, 0.0) + growth
    return Owed(
        **sums,
        timed=timed,
        within=tuple(sorted(within.items())),
        resets=owed.resets + began_anew,
    )


def _newest(arm: ArmCursor) -> float | None:
    return max((at for at, _ in arm.last.values()), default=None)


def _newest_of(arms: Mapping[str, ArmCursor]) -> float | None:
    return max((at for arm in arms.values() if (at := _newest(arm)) is not None), default=None)


def _has_news(arm: ArmCursor) -> bool:
    newest = _newest(arm)
    return newest is not None and (arm.given_until is None or newest > arm.given_until)


def _opened(arm: ArmCursor) -> ArmCursor:
    """The marks without the increments before them; the bounds stay known."""
    owed = Owed(
        started=None if arm.owed.started is None else 0.0,
        timed=None if arm.owed.timed is None else 0.0,
        within=tuple((bound, 0.0) for bound, _ in arm.owed.within),
    )
    return ArmCursor(last=arm.last, given_until=_newest(arm), owed=owed)


def _close(
    cursor: ArmsCursor, *, sequence: int, weights: Mapping[str, int]
) -> tuple[ArmsInterval, ArmsCursor]:
    bounds = _common_bounds([arm.owed for arm in cursor.arms.values()])
    given = {name: _give(arm.owed, bounds) for name, arm in cursor.arms.items()}
    until = _newest_of(cursor.arms)
    interval = ArmsInterval(
        sequence=sequence,
        step=cursor.step,
        opened_at=_moment(cursor.opened_at),
        closed_at=_moment(until),
        arms=tuple(
            _counted(name, weights.get(name, 0), cursor.arms[name].owed, counts)
            for name, (counts, _) in given.items()
        ),
        bounds_ms=bounds,
        resets=sum(arm.owed.resets for arm in cursor.arms.values()),
    )
    behind = {name: _given(arm, given[name][1]) for name, arm in cursor.arms.items()}
    return interval, replace(cursor, opened_at=until, arms=behind)


def _counted(name: str, weight: int, owed: Owed, counts: Counts) -> CountedArm:
    tried, won = _tried(owed)
    return CountedArm(
        arm=name,
        weight=weight,
        started=counts.started or 0,
        counts=counts,
        tried=tried,
        won=won,
    )


def _tried(owed: Owed) -> tuple[int, int]:
    """Tries, and those of them that came off: what runs ahead waits for the next interval."""
    tried = _whole(owed.tried)
    return tried, min(_whole(owed.won), tried)


def _given(arm: ArmCursor, left: Owed) -> ArmCursor:
    return ArmCursor(last=arm.last, given_until=_newest(arm), owed=left)


def _moment(at: float | None) -> datetime:
    if at is None:
        raise ValueError("an interval closes only after it was opened")
    return datetime.fromtimestamp(at, UTC)


def _common_bounds(owed: Iterable[Owed]) -> tuple[float, ...]:
    """The bounds at which all arms count that were timed at all."""
    timed = [{bound for bound, _ in each.within} for each in owed if each.within]
    return tuple(sorted(set.intersection(*timed))) if timed else ()


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
    tried, won = _tried(owed)
    left = Owed(
        started=None if owed.started is None else owed.started - _whole(owed.started),
        tried=owed.tried - tried,
        won=owed.won - won,
        requests=owed.requests - requests,
        errors=owed.errors - errors,
        timed=None if owed.timed is None else owed.timed - (timed or 0),
        within=tuple((bound, grown[bound] if bound in bounds else 0.0) for bound in sorted(grown)),
    )
    counts = Counts(
        requests=requests,
        errors=errors,
        within=tuple(within),
        timed=timed,
        started=None if owed.started is None else _whole(owed.started),
    )
    return counts, left


def _timed(owed: Owed, bounds: tuple[float, ...]) -> int | None:
    """How many requests were timed; none of an arm without a histogram beside one that has it."""
    if owed.timed is not None:
        return _whole(owed.timed)
    return 0 if bounds and not owed.within else None


def _whole(increments: float) -> int:
    return max(0, math.floor(increments + _ROUNDING))
