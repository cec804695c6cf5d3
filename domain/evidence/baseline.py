"""What is known of stable before the evidence of a rollout begins, and holds all the way through.

It must not depend on what the gates will see, or their odds would not be what they say. So it is
measured once, from the time before the first interval, and kept beside the intervals.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from domain.evidence.counters import Sample, Series, SeriesRole, increase
from domain.evidence.histograms import slow_bounds
from domain.evidence.mixtures import Floats
from domain.evidence.overdispersion import overdispersion
from domain.gates import Gate, Metric

WHERE_UNKNOWN = 1.5
FIXED = "the policy overdispersion"
BEFORE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """`phi` >= 1 divides all evidence; `phi_source` says in a few words where it comes from.

    `slow_bounds` has by gate the bounds, in milliseconds and ascending, that stable's requests
    stayed under so often as `histograms.STANDARD_QUANTILES` say. Plain JSON values.
    """

    phi: float = 1.0
    phi_source: str = ""
    slow_bounds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCounters:
    """The counters of one pod: all requests that ended, and those of them that were bad."""

    pod: str
    ended: tuple[tuple[Sample, ...], ...]
    bad: tuple[tuple[Sample, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the store holds of stable before the start: pod by pod, and how long answers took.

    Without pods the source has no numbers for each. Of `series` only buckets are of interest.
    """

    pods: tuple[PodCounters, ...] = ()
    series: tuple[Series, ...] = ()


def measured(gates: Sequence[Gate], history: History, *, fixed_phi: float | None) -> Baseline:
    """The baseline that a history shows; `fixed_phi` is the user's own, None to learn it."""
    phi, source = learnt(history.pods) if fixed_phi is None else (fixed_phi, FIXED)
    bounds = bounds_of(history.series)
    timed = [gate.name for gate in gates if gate.metric is Metric.LATENCY] if bounds else []
    return Baseline(phi=phi, phi_source=source, slow_bounds=dict.fromkeys(timed, bounds))


def unmeasured(why: str, *, fixed_phi: float | None) -> Baseline:
    """The baseline where no history can be had."""
    if fixed_phi is not None:
        return measured((), History(), fixed_phi=fixed_phi)
    return Baseline(phi=WHERE_UNKNOWN, phi_source=f"a default, as {why}")


def learnt(pods: Sequence[PodCounters]) -> tuple[float, str]:
    """The overdispersion and where it comes from, from the counters of stable's pods."""
    counted = _on_one_grid(pods)
    if counted is None:
        return WHERE_UNKNOWN, "a default, as the source has no numbers for each of stable's pods"
    requests, bad, seconds = counted
    serving = int((requests.sum(axis=1) > 0).sum())
    minutes = max(1, round(seconds / 60))
    phi = overdispersion(requests, bad)
    if phi is not None:
        return phi, f"{serving} stable pods, {minutes} min"
    return WHERE_UNKNOWN, f"a default, as {_too_little(serving, round(bad.sum()), minutes)}"


def _too_little(pods: int, bad: int, minutes: int) -> str:
    if pods == 0:
        return f"no pod of stable had requests in {minutes} min"
    if pods == 1:
        return "stable has one pod, and nothing to compare it with"
    return f"{bad} bad requests of {pods} stable pods in {minutes} min are too few to learn from"


def _on_one_grid(pods: Sequence[PodCounters]) -> tuple[Floats, Floats, float] | None:
    """Increments of requests and bad ones, each (pods, scrapes), and the seconds that they cover.

    A cell of the grid is as long as the usual pause between two scrapes. None without samples.
    """
    every = [samples for pod in pods for samples in (*pod.ended, *pod.bad) if len(samples) > 1]
    if not every:
        return None
    times = [np.array([at for at, _ in samples]) for samples in every]
    pause = float(np.median(np.concatenate([np.diff(each) for each in times])))
    start, end = min(each[0] for each in times), max(each[-1] for each in times)
    cells = int(np.floor((end - start) / pause + 0.5)) + 1
    requests = np.stack([_increments(pod.ended, start, pause, cells) for pod in pods])
    bad = np.stack([_increments(pod.bad, start, pause, cells) for pod in pods])
    return requests, bad, float(end - start)


def _increments(
    counters: Iterable[Sequence[Sample]], start: float, pause: float, cells: int
) -> Floats:
    grown = np.zeros(cells)
    for samples in filter(None, counters):
        at, values = (np.array(column) for column in zip(*samples, strict=True))
        steps = np.diff(values)
        growth = np.where(steps >= 0, steps, values[1:])  # after a reset it counts from 0
        places = np.floor((at[1:] - start) / pause + 0.5).astype(int)
        np.add.at(grown, places, growth)
    return grown


def bounds_of(series: Iterable[Series]) -> tuple[float, ...]:
    """The bounds from the buckets' growth over the history; empty without timed requests."""
    grown: dict[float, float] = {}
    for one in series:
        if one.role is SeriesRole.BUCKET and one.bound_ms is not None:
            growth = increase([value for _, value in one.samples])
            grown[one.bound_ms] = grown.get(one.bound_ms, 0.0) + growth
    bounds = sorted(grown)
    return slow_bounds(bounds, [grown[bound] for bound in bounds])
