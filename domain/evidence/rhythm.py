"""When a metrics store will have something new: scrapes come at a steady beat.

A probe that comes at an arbitrary moment between two scrapes finds what is half a beat old; one
that comes right behind a scrape finds it fresh. It is never later than it would have been.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import floor

# A scrape takes a while, and what it found can be read a moment after it.
LAG_SHARE = 0.15
LONGEST_LAG_SECONDS = 1.0
# The shortest of the last gaps: a scrape that failed leaves a long one.
GAPS = 5


def seconds_to_news(times: Sequence[float], *, now: float, probe: float) -> float:
    """How long to wait for the last scrape that can be read within `probe` seconds from now.

    `times` are those of a series' samples, ascending; all in (unix) seconds. Where no scrape is to
    be expected within `probe`, it is `probe`.
    """
    gap = min((after - before for before, after in pairwise(times[-GAPS:])), default=0.0)
    if gap <= 0:
        return probe
    lag = min(gap * LAG_SHARE, LONGEST_LAG_SECONDS)
    beats = floor((now + probe - lag - times[-1]) / gap)
    wait = times[-1] + beats * gap + lag - now
    return wait if beats >= 1 and wait > 0 else probe
