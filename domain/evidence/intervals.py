"""What a gate has seen: the counts of one interval, for the candidate and the stable beside it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one variant served in an interval.

    `within[i]` requests took at most the i-th bound of the interval (cumulative over bounds).
    `timed` is the histogram's own count, of which `within` are parts: a proxy may merge its
    histograms later than its counters, so that requests and times of one scrape do not belong
    together. None: the source has no such count, and every request is taken as timed.
    """

    requests: int
    errors: int
    within: tuple[int, ...] = ()
    timed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The counts between two readings, all taken while one weight had settled.

    `sequence` numbers a rollout's intervals from 0. `bounds_ms` are the latency bounds of
    `Counts.within`, ascending. `resets` counts the counters that were seen to start anew.
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
