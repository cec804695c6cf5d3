"""How much a counter has grown in a window, in PromQL, without what `increase` gets wrong.

`increase` knows no series that came with its first increment, wants two samples in the window, and
guesses how the counter went on to the window's edges. So, for each series:

1. There at both ends and never reset: the difference. Exact, however short the window.
2. Begun in the window: all that it shows, for it began at zero. It has begun if a scrape of its
   target in the window, or right before it, went without it, or if the whole process is younger.
3. Scraped for the first time in the window, at whatever number: what came on top of that.
4. Reset in the window, or gone: `increase` after all.
"""

from datetime import timedelta

from adapters.prometheus.promql import duration

_TARGET = "on (job, instance)"


def grown(selector: str, window: timedelta) -> str:
    """The growth of every series that a selector names, by all of its labels."""
    span = duration(window)
    since = f"time() - {window.total_seconds():g}"
    steady = f"unless (resets({selector}[{span}]) > 0)"
    came_later = (
        f"count_over_time({selector}[{span}]) < {_TARGET} group_left sum_over_time(up[{span}])"
    )
    target_knows = f"up offset {span} == 1 or process_start_time_seconds >= {since}"
    return (
        f"(({selector} - {selector} offset {span} >= 0) {steady})"
        f" or (({selector} {steady}) and ({came_later}))"
        f" or (({selector} {steady}) and {_TARGET} ({target_knows}))"
        f" or ({selector} - min_over_time({selector}[{span}]) {steady})"
        f" or increase({selector}[{span}])"
    )
