"""Kayenta's judge: a Mann-Whitney interval for the shift between two series of minutes.

The interval is the one of all differences x_i - y_j whose rank statistic a normal approximation
(corrected for continuity and ties) does not refute; its ends are two of the sorted differences. The
judge calls a metric high when the interval's lower end is above a share of the estimated shift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bench.judging.peeking import upper_tail
from bench.judging.rules import Flags, Window, fractions
from bench.judging.traffic import LOOK_SECONDS, Look
from domain.evidence.mixtures import Floats

TOLERANCE, CONFIDENCE = 0.25, 0.98
MINUTE = 60 // LOOK_SECONDS
FIRST, EVERY, MOST = 10, 5, 60  # minutes: of the first judgement, between two, and looked back at


@dataclass(frozen=True, slots=True)
class Shift:
    lower: float
    upper: float
    estimate: float


def mann_whitney(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """U of x over y (ties count half), and the chance of as large a one if both are alike."""
    differences = np.subtract.outer(np.asarray(x, float), np.asarray(y, float))
    u = float((differences > 0).sum() + (differences == 0).sum() / 2)
    spread = _spread(len(x), len(y), _ties(np.concatenate([x, y])))
    return u, upper_tail((u - len(x) * len(y) / 2 - 0.5) / spread)


def shift_interval(x: Sequence[float] | Floats, y: Sequence[float] | Floats, level: float) -> Shift:
    """By how much x lies above y. Raises ValueError where so few values refute no shift at all."""
    differences = np.sort(np.subtract.outer(np.asarray(x, float), np.asarray(y, float)).ravel())
    pairs = len(differences)
    # At almost every shift no x equals a y: ties are those within each series.
    spread = _spread(len(x), len(y), _ties(np.asarray(x)) + _ties(np.asarray(y)))
    z = NormalDist().inv_cdf((1 + level) / 2)
    refuted = math.ceil(pairs / 2 + 0.5 + z * spread)
    if refuted > pairs:
        raise ValueError(f"{len(x)} and {len(y)} values are too few for a level of {level:g}")
    return Shift(
        lower=float(differences[pairs - refuted]),
        upper=float(differences[refuted - 1]),
        estimate=float(np.median(differences)),
    )


def label(
    candidate: Sequence[float] | Floats,
    stable: Sequence[float] | Floats,
    *,
    tolerance: float = TOLERANCE,
    level: float = CONFIDENCE,
) -> str:
    """High, Low or Pass, in either direction."""
    if np.array_equal(candidate, stable) or np.ptp(np.concatenate([candidate, stable])) == 0:
        return "Pass"
    shift = shift_interval(candidate, stable, level)
    margin = tolerance * abs(shift.estimate)
    if shift.lower > margin:
        return "High"
    return "Low" if shift.upper < -margin else "Pass"


class RankJudge:
    """Judges the last hour of minutes at the tenth and then each fifth; high is rolled back."""

    def __init__(self, lives: int) -> None:
        self._window = Window(MINUTE)
        self._minutes: list[tuple[Floats, Floats]] = []
        self._seen = 0
        self._high = np.zeros(lives, dtype=np.bool_)

    def look(self, seen: Look) -> Flags:
        full = self._window.add(seen)
        if full is not None:
            requests, bad, other_requests, other_bad = full
            rates = (fractions(bad, requests), fractions(other_bad, other_requests))
            self._minutes = [*self._minutes, rates][-MOST:]
            self._seen += 1
            if self._seen >= FIRST and self._seen % EVERY == 0:
                self._judge()
        return self._high

    def _judge(self) -> None:
        candidate, stable = (np.stack(series) for series in zip(*self._minutes, strict=True))
        for life in np.flatnonzero(~self._high):
            mine, other = candidate[:, life], stable[:, life]
            mine, other = mine[~np.isnan(mine)], other[~np.isnan(other)]
            enough = min(len(mine), len(other)) >= FIRST // 2
            self._high[life] = enough and label(mine, other) == "High"


def _spread(n: int, m: int, ties: float) -> float:
    """The standard deviation of U; `ties` is the sum of t^3 - t over groups of equal values."""
    both = n + m
    return math.sqrt(n * m / 12 * (both + 1 - ties / (both * (both - 1))))


def _ties(values: Floats) -> float:
    _, counts = np.unique(values, return_counts=True)
    return float((counts**3 - counts).sum())
