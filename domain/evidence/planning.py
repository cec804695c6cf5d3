"""How long verdicts will take before a rollout starts: the judge, asked about expected counts.

Nothing is computed beside the judge: it is shown the counts that are expected of the stays at each
weight, and the least time with the verdict is searched for: the expected path of `forecasts`, from
nothing. What is told is the median over rollouts, which are mostly earlier.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from domain.evidence.base_rates import BaseRates
from domain.evidence.baseline import Baseline
from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import Judge
from domain.evidence.pace import median_pace
from domain.gates import AgainstStable, Gate, Metric
from domain.meters import meter_of
from domain.verdicts import Status

HORIZON = timedelta(days=30)
_SHORTEST_SECONDS = 0.1
_PRECISION = 1.01
_SMALLEST_FRACTION = 1e-7
_LARGEST_ODDS_RATIO = 1e7
# The judge divides evidence by phi: so many times the counts at so many times phi are fractions of
# requests, which expected counts are.
_PARTS = 1000
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What part of all requests each gets, 0..1; a mirror gives both of them the same ones."""

    candidate: float
    stable: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """So many seconds under one division of the traffic."""

    shares: Shares
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outset:
    """Where a step sets out from.

    With a `margin` its PASS is proven from the stays `before` it as well. Evidence begins
    `warm_up` seconds after the first of these, or after the step's own beginning without any.
    """

    margin: float | None = None
    before: tuple[Stay, ...] = ()
    warm_up: float = 0.0

    @property
    def warm_up_left(self) -> float:
        """How many seconds of the step itself are warm-up."""
        return max(0.0, self.warm_up - sum(stay.seconds for stay in self.before))


AT_ONCE = Outset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one gate can tell under one division of the traffic; None: not within 30 days.

    Seconds are those at which half of all rollouts are there, the warm-up included. A regression is
    a ratio to stable's bad fraction; of a gate at several bounds, to the odds of a bad request at
    each. `smallest_ratio` is the least that half of all rollouts find within the soak,
    `smallest_fractions` the same as the candidate's fraction of bad requests, at each bound.
    """

    seconds_to_pass: float | None
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None
    smallest_ratio: float | None
    smallest_fractions: tuple[float, ...]


class Forecaster:
    """Asks the judge about one gate of a family.

    `base` is what the gate would count of stable if that had all traffic. A gate at several bounds
    learns from each probe what stable does, hence `probe`, in seconds.
    """

    def __init__(
        self, gate: Gate, *, rules: int, base: BaseRates, phi: float = 1.0, probe: float = 15.0
    ) -> None:
        # Alone before the judge, the gate must still pay its share of the family's false alarms.
        self._alone = max(rules_of(gate), 1)
        self._gate = replace(gate, alpha=gate.alpha * self._alone / max(rules, 1))
        self._base, self._phi, self._probe = base, phi, probe
        self._meter = meter_of(gate).name
        self._found = lru_cache(maxsize=None)(self._searched)

    def outlook(self, shares: Shares, soak_seconds: float, outset: Outset = AT_ONCE) -> Outlook:
        ratio, fractions = self._smallest(shares, soak_seconds, outset.warm_up_left)
        return Outlook(
            seconds_to_pass=self.seconds_to_pass(shares, outset),
            seconds_to_find_double=self.seconds_to_find(shares, 2.0, outset),
            seconds_to_find_tenfold=self.seconds_to_find(shares, 10.0, outset),
            smallest_ratio=ratio,
            smallest_fractions=fractions,
        )

    def seconds_to_pass(self, shares: Shares, outset: Outset = AT_ONCE) -> float | None:
        """Until a candidate that is as good as stable has passed."""
        pace = self._pass_pace(outset.margin)

        def passes(seconds: float) -> bool:
            stays = (*outset.before, Stay(shares=shares, seconds=seconds))
            status = self._status(self._gate, stays, self._base.bad, outset=outset, pace=pace)
            return status is Status.PASS

        return _least(passes)

    def seconds_to_find(
        self, shares: Shares, ratio: float, outset: Outset = AT_ONCE
    ) -> float | None:
        """Until one that is so many times as bad has failed; None also where stable has no bad.

        It is bad from the step's beginning on, and nothing was counted before.
        """
        return self._found(shares, ratio, outset.warm_up_left)

    def _searched(self, shares: Shares, ratio: float, warm_up: float) -> float | None:
        worse = self._worse(ratio)
        return _least(lambda t: self._fails(shares, worse, t, warm_up)) if any(worse) else None

    def _worse(self, ratio: float) -> tuple[float, ...]:
        """So many times as many bad requests; at several bounds so many times the odds.

        A multiple would make all requests slow at the lowest bound, where half of them are.
        """
        if len(self._base.bad) == 1:
            return (min(1.0, ratio * self._base.bad[0]),)
        return tuple(ratio * bad / (1 - bad + ratio * bad) for bad in self._base.bad)

    def _smallest(
        self, shares: Shares, seconds: float, warm_up: float
    ) -> tuple[float | None, tuple[float, ...]]:
        """The least regression found in this time: as a ratio, and as fractions of requests."""
        if len(self._base.bad) > 1:
            found = self._least_found(
                shares, seconds, warm_up, self._worse, (1.0, _LARGEST_ODDS_RATIO)
            )
            return found, () if found is None else self._worse(found)
        (bad,) = self._base.bad
        fraction = self._least_found(
            shares, seconds, warm_up, lambda each: (each,), (max(bad, _SMALLEST_FRACTION), 1.0)
        )
        if fraction is None:
            return None, ()
        return (fraction / bad if bad else None), (fraction,)

    def _least_found(
        self,
        shares: Shares,
        seconds: float,
        warm_up: float,
        worse: Callable[[float], tuple[float, ...]],
        within: tuple[float, float],
    ) -> float | None:
        low, high = within
        if seconds < _SHORTEST_SECONDS or not self._fails(shares, worse(high), seconds, warm_up):
            return None
        while high / low > _PRECISION:
            middle = math.sqrt(low * high)
            if self._fails(shares, worse(middle), seconds, warm_up):
                high = middle
            else:
                low = middle
        return high

    def _fails(
        self, shares: Shares, worse: Sequence[float], seconds: float, warm_up: float
    ) -> bool:
        """Whether the expected evidence is past the line by what one bad request adds.

        The one that crosses it rarely stops at it (overshoot); where few bad requests decide, that
        is a good part of the way.
        """
        ratio = self._leading_ratio(worse)
        gate = replace(self._gate, alpha=self._gate.alpha / max(ratio, 1.0))
        pace = median_pace(math.log(self._alone / self._gate.alpha), ratio)
        stays, alone = (Stay(shares=shares, seconds=seconds),), Outset(warm_up=warm_up)
        return self._status(gate, stays, worse, outset=alone, pace=pace) is Status.FAIL

    def _leading_ratio(self, worse: Sequence[float]) -> float:
        """How far the candidate is above the line, at the bound from which most is learnt."""
        lines = [min(self._lines(bad, "fail_ratio"), default=1.0) for bad in self._base.bad]
        pairs = zip(worse, lines, strict=True)
        bad, line = max(pairs, key=lambda pair: _learnt_each(*pair))
        return bad / line

    def _pass_pace(self, margin: float | None) -> float:
        """That of the bound which is the least sure to be early: the last of them decides."""
        needed = math.log(1 / self._gate.beta)
        return max(
            median_pace(needed, bad / max(self._lines(bad, "pass_ratio", margin), default=1.0))
            for bad in self._base.bad
        )

    def _lines(self, bad: float, which: str, margin: float | None = None) -> Iterator[float]:
        """The fractions that the rules draw where so many of stable's are bad."""
        rule: AgainstStable | None = self._gate.against_stable
        if rule is not None:
            yield min(1.0, max((margin or getattr(rule, which)) * bad, rule.floor))
        if self._gate.limit is not None:
            yield self._gate.limit

    def _status(
        self,
        gate: Gate,
        stays: Sequence[Stay],
        candidate_bad: Sequence[float],
        *,
        outset: Outset,
        pace: float,
    ) -> Status:
        """What the judge says after these stays, if all was counted that is due 1/pace later."""
        step = len(stays) - 1
        judge = Judge(
            (gate,),
            baseline=Baseline(phi=self._phi * _PARTS, slow_bounds={gate.name: self._base.bounds}),
            warm_up=timedelta(seconds=outset.warm_up),
            checks_split=False,
            margins={} if outset.margin is None else {step: outset.margin},
        )
        for interval in self._intervals(stays, candidate_bad, outset.warm_up, pace):
            judge.add(interval, self._meter)
        return judge.statuses(step)[0]

    def _intervals(
        self,
        stays: Iterable[Stay],
        candidate_bad: Sequence[float],
        warm_up: float,
        pace: float,
    ) -> Iterator[Interval]:
        """One a stay, cut where the warm-up ends, and behind the probe that is learnt from."""
        cuts = (warm_up, warm_up + self._probe) if self._base.bounds else (warm_up,)
        sequence, begin = 0, 0.0
        for step, stay in enumerate(stays):
            end = begin + stay.seconds
            moments = (begin, *(cut for cut in cuts if begin < cut < end), end)
            for opened, closed in pairwise(moments):
                due = self._base.per_second * (closed - opened) / pace
                yield Interval(
                    sequence=sequence,
                    step=step,
                    weight=round(100 * stay.shares.candidate),
                    opened_at=_NOON + timedelta(seconds=opened),
                    closed_at=_NOON + timedelta(seconds=closed),
                    candidate=self._counts(due * stay.shares.candidate, candidate_bad),
                    stable=self._counts(due * stay.shares.stable, self._base.bad),
                    bounds_ms=self._bounds,
                )
                sequence += 1
            begin = end

    @property
    def _bounds(self) -> tuple[float, ...]:
        if self._base.bounds:
            return self._base.bounds
        return () if self._gate.bound is None else (self._gate.bound,)

    def _counts(self, expected: float, fractions: Sequence[float]) -> Counts:
        requests = round(expected * _PARTS)
        bad = [min(requests, round(expected * each * _PARTS)) for each in fractions]
        if self._gate.metric is Metric.ERROR_RATE:
            return Counts(requests=requests, errors=bad[0])
        if self._gate.no_more_than is not None:
            return Counts(requests=requests, errors=0, within=tuple(bad))
        return Counts(requests=requests, errors=0, within=tuple(requests - each for each in bad))


def rules_of(gate: Gate) -> int:
    """How many chances of a false alarm a gate is; one in a dry run decides nothing."""
    if gate.dry_run:
        return 0
    return (gate.limit is not None) + (gate.against_stable is not None)


def _learnt_each(bad: float, line: float) -> float:
    """How much a request tells, on average, of a fraction that is above the line (in nats)."""
    return bad * math.log(bad / line) - bad + line if bad > line else 0.0


def _least(holds: Callable[[float], bool]) -> float | None:
    """The least time for which it holds, to 1 %; None when not within the horizon."""
    low, high = _SHORTEST_SECONDS, HORIZON.total_seconds()
    if not holds(high):
        return None
    if holds(low):
        return low
    while high / low > _PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
