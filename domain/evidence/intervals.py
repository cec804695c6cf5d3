"""What a gate has seen: the counts of one interval, for the candidate and the stable beside it.

A trial's interval has the counts of all of its arms, which make a pair of any two.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one variant served in an interval.

    `within[i]` requests took at most the i-th bound of the interval (cumulative over bounds).
    `timed` is the histogram's own count, of which `within` are parts: a proxy may merge its
    histograms later than its counters, so that requests and times of one scrape do not belong
    together. None: the source has no such count, and every request is taken as timed.
    `started` requests began in it, whether they ended or not; None where nobody counts those.
    """

    requests: int
    errors: int
    within: tuple[int, ...] = ()
    timed: int | None = None
    started: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The counts between two readings, all taken while one weight had settled.

    `sequence` numbers a rollout's intervals from 0. `bounds_ms` are the bounds of
    `Counts.within`, ascending: milliseconds, but tokens where those are counted. `resets`
    counts the counters that were seen to start anew.
    """

    sequence: int
    step: int
    weight: int
    opened_at: datetime
    closed_at: datetime
    candidate: Counts
    stable: Counts
    bounds_ms: tuple[float, ...] = ()
    resets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedArm:
    """One arm of a trial in an interval; `started` requests arrived, the counts have ended.

    `tried` and `won` are those of a reward that has counters of its own.
    """

    arm: str
    weight: int
    started: int
    counts: Counts
    tried: int = 0
    won: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsInterval:
    """As an Interval, with the counts of every arm that is in the trial, at weights in percent."""

    sequence: int
    step: int
    opened_at: datetime
    closed_at: datetime
    arms: tuple[CountedArm, ...]
    bounds_ms: tuple[float, ...] = ()
    resets: int = 0

    def pair(self, candidate: str, stable: str) -> Interval | None:
        """The counts of two arms; None where one of them is not in the trial (any more)."""
        found = {one.arm: one for one in self.arms}
        if candidate not in found or stable not in found:
            return None
        return Interval(
            sequence=self.sequence,
            step=self.step,
            weight=found[candidate].weight,
            opened_at=self.opened_at,
            closed_at=self.closed_at,
            candidate=found[candidate].counts,
            stable=found[stable].counts,
            bounds_ms=self.bounds_ms,
            resets=self.resets,
        )
