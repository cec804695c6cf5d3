"""How much a counter has grown in a window, in PromQL, without what `increase` gets wrong.

`increase` knows no series that came with its first increment, wants two samples in the window, and
guesses how the counter went on to the window's edges. So, for each series:

1. There at both ends and never reset: the difference. Exact, however short the window.
2. Not there at the start, though its target was scraped, or its process began later: all that it
   shows, for it began at zero.
3. Else, reset or gone or newly scraped: `increase` after all.
"""

from collections.abc import Mapping
from datetime import timedelta

from adapters.prometheus.promql import duration, quoted

PART = "part"


def grown(selector: str, window: timedelta) -> str:
    """The growth of every series that a selector names, by all of its labels."""
    span = duration(window)
    is_reset = f"(resets({selector}[{span}]) > 0)"
    was_watched = f"(up offset {span} == 1 or process_start_time_seconds >= time() - {_s(window)})"
    return (
        f"(({selector} - {selector} offset {span} >= 0) unless {is_reset})"
        f" or (({selector} unless {is_reset}) and on (job, instance) {was_watched})"
        f" or increase({selector}[{span}])"
    )


def parts(by_name: Mapping[str, str]) -> str:
    """One query for several expressions; each result carries its name in the label `part`."""
    return " or ".join(
        f'label_replace({expression}, "{PART}", {quoted(name)}, "", "")'
        for name, expression in by_name.items()
    )


def _s(window: timedelta) -> str:
    return f"{window.total_seconds():g}"
