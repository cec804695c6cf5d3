"""Arithmetic on a handful of measured values: medians, quantiles, spreads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How some values lie; in the unit of the values."""

    count: int
    least: float
    median: float
    p90: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Raises ValueError when there are none."""
        return cls(
            count=len(values),
            least=min(values),
            median=median(values),
            p90=quantile(values, 0.9),
            most=max(values),
        )


def median(values: Sequence[float]) -> float:
    """Raises ValueError when there are none."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values lie below, on straight lines between neighbours.

    Definition 7 of Hyndman and Fan (1996), as numpy and spreadsheets have it. Raises ValueError
    when there are no values.
    """
    if not values:
        raise ValueError("no values have no quantile")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def spaced(count: int, jitters: Sequence[float]) -> list[float]:
    """One phase in [0, 1) per trial, each in a stratum of its own: no phase is missed by luck.

    `jitters` are `count` draws from [0, 1).
    """
    return [(index + jitters[index]) / count for index in range(count)]
