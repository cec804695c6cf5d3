"""What stable does in the eyes of each gate before a rollout: how often it counts, what is bad."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.evidence.counters import Series, advance_arms
from domain.evidence.intervals import Interval
from domain.evidence.tallies import observe
from domain.gates import Gate

# A series whose first sample comes later than this behind the first of all was born meanwhile, and
# counts from 0. Targets are scraped in turn, so that those of one start differ by a scrape.
TURN = timedelta(minutes=1)
_STABLE = "stable"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRates:
    """What a gate counts of stable: so many observations per second, of which fractions are bad.

    Where it takes the bounds of stable's history there is a fraction for each of `bounds`
    (milliseconds, ascending); elsewhere there is one, and `bounds` is empty.
    """

    per_second: float
    bad: tuple[float, ...]
    bounds: tuple[float, ...] = ()


def counted(series: Iterable[Series]) -> Interval | None:
    """The counts of all samples, as one interval whose two arms are both stable's.

    None where nothing was sampled twice. Counts exactly as a watch does, resets and series that
    appear included.
    """
    known = [one for one in series if one.samples]
    if not known:
        return None
    until = min(one.samples[0][0] for one in known) + TURN.total_seconds()
    marks = [replace(one, samples=one.samples[:1]) for one in known if one.samples[0][0] <= until]
    _, opened = advance_arms(None, {_STABLE: marks}, sequence=0, step=0, weights={})
    found, _ = advance_arms(opened, {_STABLE: known}, sequence=0, step=0, weights={})
    return None if found is None else found.pair(_STABLE, _STABLE)


def base_rates(gate: Gate, interval: Interval, bounds: Sequence[float]) -> BaseRates | str:
    """What the gate counts of an interval of stable's, at each of the bounds if there are any.

    Otherwise why it cannot be told, in words.
    """
    at_each = [replace(gate, slow_over_ms=bound) for bound in bounds] or [gate]
    seconds = (interval.closed_at - interval.opened_at).total_seconds()
    bad = []
    requests = 0
    for one in at_each:
        seen = observe(one, interval)
        if seen is None:
            shown = "no histogram" if not interval.bounds_ms else f"no bound at {one.bound:g}"
            return f"{gate.source} shows {shown} of stable"
        requests = seen.stable_requests
        if not requests or not seconds > 0:
            return nothing_of(gate)
        bad.append(seen.stable_bad / requests)
    return BaseRates(per_second=requests / seconds, bad=tuple(bad), bounds=tuple(bounds))


def nothing_of(gate: Gate) -> str:
    """That the gate's source counted nothing."""
    return f"{gate.source} counted nothing of stable in the window"
