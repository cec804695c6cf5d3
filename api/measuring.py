"""Measures one variant over a window, and along it where a chart is asked for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.errors import MetricsRefused, MetricsUnreachable, broken
from domain.errors import Forbidden, Refused, Unreachable
from domain.metrics import (
    NOTHING,
    SHORTEST,
    Figures,
    MeasuredVariant,
    Measurement,
    figures,
    grid_over,
)
from domain.ports import MetricsStore
from domain.spans import read_span

SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(seconds=5), timedelta(days=30)
MOST_POINTS = 11_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How far back, and in which steps where a chart is wanted."""

    window: timedelta
    step: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`window` is what of it was the variant's own; `points` are (unix seconds, figures)."""

    window: timedelta
    figures: Figures
    points: tuple[tuple[int, Figures], ...] | None


def read_window(window: str, step: str | None = None) -> Span:
    """Read both parameters. Raises InvalidSpec that names the field and its rule."""
    asked = _span("window", window)
    if not SHORTEST_WINDOW <= asked <= LONGEST_WINDOW:
        raise broken("window", "must be from 5s to 30d")
    if step is None:
        return Span(window=asked)
    each = _span("step", step)
    if each > asked:
        raise broken("step", "must not be longer than the window")
    if asked // each > MOST_POINTS:
        raise broken("step", f"must divide the window into at most {MOST_POINTS} points")
    return Span(window=asked, step=each)


async def measure(
    store: MetricsStore, variant: MeasuredVariant, span: Span, at: datetime
) -> Measured:
    """Raises MetricsUnreachable and MetricsRefused."""
    window = variant.window(at, span.window)
    async with metrics_store():
        whole, points = await asyncio.gather(
            _measurement(store, variant, at, window), _points(store, variant, span, at)
        )
    return Measured(window=window, figures=figures(whole, window), points=points)


@asynccontextmanager
async def metrics_store() -> AsyncIterator[None]:
    """Tell the store's troubles from those of the registry, which raises the same errors."""
    try:
        yield
    except (Unreachable, Forbidden) as error:
        raise MetricsUnreachable(str(error)) from error
    except Refused as error:
        raise MetricsRefused(str(error)) from error


async def _measurement(
    store: MetricsStore, variant: MeasuredVariant, at: datetime, window: timedelta
) -> Measurement:
    return await store.measure(variant, at=at, window=window) if window >= SHORTEST else NOTHING


async def _points(
    store: MetricsStore, variant: MeasuredVariant, span: Span, at: datetime
) -> tuple[tuple[int, Figures], ...] | None:
    """Each point of the grid; the first step that is the variant's only in part is cut to it."""
    if span.step is None:
        return None
    grid = grid_over(at, span.window, span.step)
    own = grid.behind(variant.since)
    cut = grid.points - own.points - 1
    moments = grid.moments()
    told = [(NOTHING, span.step)] * grid.points
    if own.points:
        told[-own.points :] = [(each, span.step) for each in await store.chart(variant, own)]
    if cut >= 0:
        window = variant.window(moments[cut], span.step)
        told[cut] = (await _measurement(store, variant, moments[cut], window), window)
    # A long chart takes a second, and other calls are waiting.
    return await asyncio.to_thread(_figures, moments, told)


def _figures(
    moments: Sequence[datetime], told: Sequence[tuple[Measurement, timedelta]]
) -> tuple[tuple[int, Figures], ...]:
    return tuple(
        (round(moment.timestamp()), figures(*each))
        for moment, each in zip(moments, told, strict=True)
    )


def _span(field: str, text: str) -> timedelta:
    try:
        return read_span(text)
    except ValueError as error:
        raise broken(field, str(error)) from None
