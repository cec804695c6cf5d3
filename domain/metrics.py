"""What is known about a variant in numbers: what a store has measured, and what follows from it.

No request is no number: a variant without traffic has neither an error rate nor a latency, and a
zero would look like one. Hence None wherever nothing was counted.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain.traffic import Route

SHORTEST = timedelta(milliseconds=1)
MILLISECONDS = 1000


class TokenSource(StrEnum):
    """Who counts tokens: the AI gateway, or the model servers themselves."""

    GEN_AI = "gen_ai"
    VLLM = "vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVariant:
    """Where a variant is counted: by its workload's name, and by its slot where it has one.

    A slot outlives its variants, so what it counted before `since` is somebody else's.
    """

    workload: str
    route: Route | None = None
    slot: int | None = None
    since: datetime | None = None

    def window(self, at: datetime, window: timedelta) -> timedelta:
        """As much of the window before `at` as belongs to this variant; nothing at the least."""
        if self.since is None:
            return window
        return max(timedelta(0), min(window, at - self.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How many took at most so many seconds: (bound, count) with both ascending, +Inf last."""

    buckets: tuple[tuple[float, float], ...]

    def quantile(self, q: float) -> float | None:
        """The seconds that a share `q` stays within, linear inside a bucket; None if all is empty.

        What lies beyond the last finite bound is told as that bound.
        """
        total = self.buckets[-1][1] if self.buckets else 0.0
        if not total > 0 or not math.isinf(self.buckets[-1][0]):
            return None
        rank = q * total
        for (low, below), (high, within) in pairwise(((0.0, 0.0), *self.buckets)):
            if within >= rank and within > below:
                share = (rank - below) / (within - below)
                return low if math.isinf(high) else low + (high - low) * max(0.0, share)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a store has counted of one variant in one window; None is what it does not know."""

    requests: float | None = None
    errors: float | None = None
    latency: Histogram | None = None
    first_token: Histogram | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None


NOTHING = Measurement()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of one workload in one window; None is what was not counted."""

    input: int | None = None
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A variant in numbers: rates per second, times in milliseconds, `error_rate` a fraction."""

    requests: int | None = None
    errors: int | None = None
    requests_per_second: float | None = None
    error_rate: float | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    time_to_first_token_p50_ms: float | None = None
    time_to_first_token_p95_ms: float | None = None
    time_to_first_token_p99_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_per_second: float | None = None


METRICS: tuple[str, ...] = tuple(each.name for each in fields(Figures))
# Sums grow with the window, and variants may have windows of different lengths.
COMPARED: tuple[str, ...] = tuple(
    name for name in METRICS if name not in {"requests", "errors", "input_tokens", "output_tokens"}
)


def figures(measured: Measurement, window: timedelta) -> Figures:
    """What a measurement over this window says."""
    seconds = max(window, SHORTEST).total_seconds()
    requests = counted(measured.requests)
    # The series of errors begins with the first one: without it there was none.
    errors = None if requests is None else min(requests, round(measured.errors or 0))
    output = counted(measured.output_tokens)
    latency = _milliseconds(measured.latency if requests else None)
    first_token = _milliseconds(measured.first_token)
    return Figures(
        requests=requests,
        errors=errors,
        requests_per_second=None if requests is None else requests / seconds,
        error_rate=None if requests is None or errors is None else errors / requests,
        latency_p50_ms=latency(0.5),
        latency_p95_ms=latency(0.95),
        latency_p99_ms=latency(0.99),
        time_to_first_token_p50_ms=first_token(0.5),
        time_to_first_token_p95_ms=first_token(0.95),
        time_to_first_token_p99_ms=first_token(0.99),
        input_tokens=counted(measured.input_tokens),
        output_tokens=output,
        output_tokens_per_second=None if output is None else output / seconds,
    )


def counted(number: float | None) -> int | None:
    """A count as a whole number, and no number where nothing was counted."""
    return (round(number) or None) if number is not None and number > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant beside stable, by metric: what it has more, and how many times as much.

    None where either has no number; a ratio to zero is none either.
    """

    difference: dict[str, float | None]
    ratio: dict[str, float | None]


def compare(variant: Figures, stable: Figures) -> Comparison:
    """Compare what does not depend on the window's length."""
    pairs = {name: (getattr(variant, name), getattr(stable, name)) for name in COMPARED}
    return Comparison(
        difference={name: _difference(*pair) for name, pair in pairs.items()},
        ratio={name: _ratio(*pair) for name, pair in pairs.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Moments with the same step between them; each stands for the step that ends with it."""

    end: datetime
    step: timedelta
    points: int

    def moments(self) -> tuple[datetime, ...]:
        return tuple(self.end - self.step * back for back in reversed(range(self.points)))

    def behind(self, since: datetime | None) -> "Grid":
        """The last part of the grid, whose steps all begin at `since` or later."""
        if since is None:
            return self
        whole = max(0, (self.end - since) // self.step)
        return Grid(end=self.end, step=self.step, points=min(self.points, whole))


def grid_over(end: datetime, window: timedelta, step: timedelta) -> Grid:
    """As many whole steps as the window holds, one at the least."""
    return Grid(end=end, step=step, points=max(1, window // step))


def summed(histograms: Iterable[tuple[float, float]]) -> Histogram:
    """A histogram of (bound, count) pairs in any order; counts are made to ascend."""
    highest, buckets = 0.0, []
    for bound, count in sorted(histograms):
        highest = max(highest, count)
        buckets.append((bound, highest))
    return Histogram(buckets=tuple(buckets))


def _milliseconds(histogram: Histogram | None) -> Callable[[float], float | None]:
    def quantile(q: float) -> float | None:
        seconds = None if histogram is None else histogram.quantile(q)
        return None if seconds is None else seconds * MILLISECONDS

    return quantile


def _difference(variant: float | None, stable: float | None) -> float | None:
    return None if variant is None or stable is None else variant - stable


def _ratio(variant: float | None, stable: float | None) -> float | None:
    return None if variant is None or not stable else variant / stable
