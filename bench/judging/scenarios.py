"""Whom the judges see: candidates that should stay, and ones that should go."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

from bench.judging.traffic import Pods, Traffic
from domain.gates import AgainstStable, Gate, Metric

HOUR = 720  # looks
BASE = 0.01
LATE = 2 * HOUR + 7  # no round number: nobody's windows begin there


ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable())
LATENCY = Gate(
    name="latency", metric=Metric.LATENCY, slow_over_ms=250, against_stable=AgainstStable()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """So many lives of one kind of traffic, each looked at so often.

    `limit` is what a fixed threshold is set to: twice what is usual here. `phi` is what the product
    is told; None: what it learns from an hour of stable's pods before. `stream` names the random
    draws: scenarios of one stream and one traffic see the same requests.
    """

    title: str
    traffic: Traffic
    looks: int
    lives: int
    gate: Gate = ERRORS
    limit: float = 2 * BASE
    phi: float | None = 1.0
    stream: str = ""

    def smoke(self) -> "Scenario":
        """A few lives, a tenth of the time."""
        traffic = replace(self.traffic, changed_at=self.traffic.changed_at // 10)
        return replace(self, traffic=traffic, looks=self.looks // 10, lives=24)


def slower_than(limit_ms: float, *, median_ms: float = 100.0, sd: float = 0.6) -> float:
    """The fraction of log-normal response times beyond the limit."""
    return 1 - NormalDist(math.log(median_ms), sd).cdf(math.log(limit_ms))


SLOW, VERY_SLOW = slower_than(250), slower_than(1000)
BURSTS = Traffic(burst=3)
SLOW_TRAFFIC = Traffic(base=SLOW, weights=(10,))

HEALTHY: Mapping[str, Scenario] = {
    "equal": Scenario(title="equal, 100 requests/s", traffic=Traffic(), looks=10_000, lives=200),
    "equal-10": Scenario(
        title="equal, 10 requests/s", traffic=Traffic(rate=10), looks=10_000, lives=200
    ),
    "drift": Scenario(
        title="drift x3, 40 outages of both",
        traffic=Traffic(base_waves=3, outages=40),
        looks=8 * HOUR,
        lives=200,
    ),
    "ramp": Scenario(
        title="ramp 1 to 50 %, errors .3 to 3 %",
        traffic=Traffic(weights=(1, 5, 10, 25, 50), base=0.003, base_at_end=0.03),
        looks=4 * HOUR,
        lives=400,
    ),
    "bursts": Scenario(
        title="bursts of 3, phi as learnt", traffic=BURSTS, looks=4 * HOUR, lives=200, phi=None,
        stream="bursts",
    ),
    "bursts-1": Scenario(
        title="bursts of 3, phi 1", traffic=BURSTS, looks=4 * HOUR, lives=200, stream="bursts"
    ),
    "pods": Scenario(
        title="noise of pods, phi as learnt",
        traffic=Traffic(pods=Pods(sd=0.2)),
        looks=4 * HOUR,
        lives=200,
        phi=None,
    ),
    "slow-equal": Scenario(
        title="latency, equal",
        traffic=SLOW_TRAFFIC,
        looks=4 * HOUR,
        lives=200,
        gate=LATENCY,
        limit=2 * SLOW,
    ),
    "margin": Scenario(
        title="1.25 times stable: at the margin",
        traffic=Traffic(changed_to=1.25 * BASE),
        looks=4 * HOUR,
        lives=200,
    ),
}  # fmt: skip


def _early(times: float, lives: int, rate: float = 100, weight: int = 5) -> Scenario:
    at = "" if rate == 100 else f", {rate:g} requests/s"
    at += "" if weight == 5 else f", {weight} % weight"
    traffic = Traffic(rate=rate, weights=(weight,), changed_to=times * BASE)
    return Scenario(title=f"{times:g}x{at}", traffic=traffic, looks=2 * HOUR, lives=lives)


def _late(times: float, lives: int) -> Scenario:
    traffic = Traffic(changed_at=LATE, changed_to=times * BASE)
    return Scenario(title=f"{times:g}x after 2 h", traffic=traffic, looks=LATE + HOUR, lives=lives)


def _risen(times: float, weights: tuple[int, ...], lives: int) -> Scenario:
    """Half an hour at each weight; the candidate is bad at the last one."""
    *before, last = weights
    traffic = Traffic(weights=weights, changed_at=len(before) * HOUR // 2, changed_to=times * BASE)
    title = f"{times:g}x from {last} % on, after {' and '.join(map(str, before))} %"
    return Scenario(title=title, traffic=traffic, looks=len(weights) * HOUR // 2, lives=lives)


CHANGED: Mapping[str, Scenario] = {
    "1.5x": _early(1.5, 200),
    "2x": _early(2, 1000),
    "3x": _early(3, 400),
    "10x": _early(10, 400),
    "2x-10": _early(2, 200, rate=10),
    "10x-10": _early(10, 200, rate=10),
    "2x-25": _early(2, 200, weight=25),
    "3x-25": _early(3, 200, weight=25),
    "slower": Scenario(
        title="all answers 1.2x as slow",
        traffic=replace(SLOW_TRAFFIC, changed_to=slower_than(250, median_ms=120)),
        looks=HOUR,
        lives=300,
        gate=LATENCY,
        limit=2 * SLOW,
    ),
    "tail": Scenario(
        title="1 % of answers +3 s",
        traffic=Traffic(base=VERY_SLOW, weights=(10,), changed_to=0.01 + 0.99 * VERY_SLOW),
        looks=HOUR,
        lives=300,
        gate=replace(LATENCY, slow_over_ms=1000),
        limit=0.002,
    ),
}
LATER: Mapping[str, Scenario] = {
    "2x-late": _late(2, 200),
    "3x-late": _late(3, 200),
    "10x-late": _late(10, 200),
}
RISEN: Mapping[str, Scenario] = {
    "2x-risen": _risen(2, (5, 25), 300),
    "3x-risen": _risen(3, (5, 25), 300),
    "2x-risen-twice": _risen(2, (5, 10, 25), 300),
}
SCENARIOS: Mapping[str, Scenario] = {**HEALTHY, **CHANGED, **LATER, **RISEN}
