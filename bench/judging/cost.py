"""What the product's judge costs: a verdict, and a thousand gates that are probed each 5 s."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median

import numpy as np

from bench.judging.scenarios import ERRORS
from bench.judging.traffic import LOOK_SECONDS
from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import Judge

GATES = 1000
SHORT, LONG = 100, 10_000  # intervals
ROUNDS = 200
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of one verdict after few and after `many` intervals; the share of a core."""

    verdict: float
    late_verdict: float
    interval: float
    core: float
    many: int


def measure(seed: int, *, gates: int = GATES, long: int = LONG) -> Cost:
    """Times of this machine's processor, not of the clock on the wall.

    The share is that of 1,000 gates whatever the number measured: each takes an interval in and
    gives its verdict every 5 s.
    """
    rng = np.random.default_rng(seed)
    seen = [_interval(number, rng) for number in range(long + ROUNDS)]
    short = _timed(seen[: SHORT + ROUNDS], SHORT)
    late = _timed(seen, long)
    judges = [Judge([ERRORS]) for _ in range(gates)]
    for judge in judges:
        for interval in seen[:SHORT]:
            judge.add(interval)
    began = time.process_time()
    for judge in judges:
        judge.add(seen[SHORT])
        judge.verdicts(0)
    each = (time.process_time() - began) / gates
    return Cost(
        verdict=short[1],
        late_verdict=late[1],
        interval=short[0],
        core=each * GATES / LOOK_SECONDS,
        many=long,
    )


def _timed(intervals: list[Interval], first: int) -> tuple[float, float]:
    """Median seconds of taking an interval in, and of a verdict, behind the first ones."""
    judge = Judge([ERRORS])
    for interval in intervals[:first]:
        judge.add(interval)
    adding, judging = [], []
    for interval in intervals[first:]:
        began = time.perf_counter()
        judge.add(interval)
        middle = time.perf_counter()
        judge.verdicts(0)
        adding.append(middle - began)
        judging.append(time.perf_counter() - middle)
    return median(adding), median(judging)


def _interval(number: int, rng: np.random.Generator) -> Interval:
    """100 requests a second, 5 % of them the candidate's, 1 % of all bad."""
    candidate, stable = int(rng.poisson(25)), int(rng.poisson(475))
    opened = NOON + timedelta(seconds=number * LOOK_SECONDS)
    return Interval(
        sequence=number,
        step=0,
        weight=5,
        opened_at=opened,
        closed_at=opened + timedelta(seconds=LOOK_SECONDS),
        candidate=Counts(requests=candidate, errors=int(rng.binomial(candidate, 0.01))),
        stable=Counts(requests=stable, errors=int(rng.binomial(stable, 0.01))),
    )
