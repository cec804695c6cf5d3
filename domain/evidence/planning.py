"""How long verdicts will take before a rollout starts: the judge, asked about expected counts.

Nothing is computed beside the judge: it is shown one interval of t seconds with the counts that are
expected by then, and the least t with the verdict is searched for: the expected path of
`forecasts`, from nothing. What is told is the median over rollouts, which are mostly earlier.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import Judge
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import Status

HORIZON = timedelta(days=30)
_SHORTEST_SECONDS = 0.1
_PRECISION = 1.01
_SMALLEST_FRACTION = 1e-7
_FLAT = 1e-4
_SURE = 50.0
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
class Outlook:
    """What one gate can tell under one division of the traffic; None: not within 30 days.

    Seconds are those at which half of all rollouts are there. `smallest_ratio` is the least
    regression, as a ratio to stable, that half of all rollouts find within the soak;
    `smallest_fraction` is the same as the candidate's fraction of bad requests.
    """

    seconds_to_pass: float | None
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None
    smallest_ratio: float | None
    smallest_fraction: float | None


class Forecaster:
    """Asks the judge about one gate of a family.

    `bad` is stable's fraction of bad requests, `requests_per_second` all traffic of the model.
    """

    def __init__(
        self, gate: Gate, *, rules: int, requests_per_second: float, bad: float, phi: float = 1.0
    ) -> None:
        # Alone before the judge, the gate must still pay its share of the family's false alarms.
        self._alone = max(rules_of(gate), 1)
        self._gate = replace(gate, alpha=gate.alpha * self._alone / max(rules, 1))
        self._rps, self._bad, self._phi = requests_per_second, bad, phi

    def outlook(self, shares: Shares, soak_seconds: float) -> Outlook:
        ratio, fraction = self._smallest(shares, soak_seconds)
        return Outlook(
            seconds_to_pass=self.seconds_to_pass(shares),
            seconds_to_find_double=self.seconds_to_find(shares, 2.0),
            seconds_to_find_tenfold=self.seconds_to_find(shares, 10.0),
            smallest_ratio=ratio,
            smallest_fraction=fraction,
        )

    def seconds_to_pass(self, shares: Shares) -> float | None:
        """Until a candidate that is as good as stable has passed."""
        line = max(self._lines(lambda margins: margins.pass_ratio), default=1.0)
        reached = _least(lambda t: self._status(self._gate, shares, self._bad, t) is Status.PASS)
        pace = median_pace(math.log(1 / self._gate.beta), self._bad / line)
        return None if reached is None else reached * pace

    def seconds_to_find(self, shares: Shares, ratio: float) -> float | None:
        """Until one that is so many times as bad has failed; None also where stable has no bad."""
        worse = min(1.0, ratio * self._bad)
        reached = _least(lambda t: self._fails(shares, worse, t)) if worse else None
        return None if reached is None else reached * self._fail_pace(worse)

    def _smallest(self, shares: Shares, seconds: float) -> tuple[float | None, float | None]:
        """The least regression found in this time: as a ratio, and as a fraction of requests."""

        def is_found(fraction: float) -> bool:
            return self._fails(shares, fraction, seconds / self._fail_pace(fraction))

        if seconds < _SHORTEST_SECONDS or not is_found(1.0):
            return None, None
        low, high = max(self._bad, _SMALLEST_FRACTION), 1.0
        while high / low > _PRECISION:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if is_found(middle) else (middle, high)
        return (high / self._bad if self._bad else None), high

    def _fails(self, shares: Shares, bad: float, seconds: float) -> bool:
        """Whether the expected evidence is past the line by what one bad request adds.

        The one that crosses it rarely stops at it (overshoot); where few bad requests decide, that
        is a good part of the way.
        """
        beyond = max(bad / self._fail_line, 1.0)
        gate = replace(self._gate, alpha=self._gate.alpha / beyond)
        return self._status(gate, shares, bad, seconds) is Status.FAIL

    def _fail_pace(self, bad: float) -> float:
        needed = math.log(self._alone / self._gate.alpha)
        return median_pace(needed, bad / self._fail_line)

    @property
    def _fail_line(self) -> float:
        """The fraction above which the candidate fails, by the stricter rule."""
        return min(self._lines(lambda margins: margins.fail_ratio), default=1.0)

    def _lines(self, ratio: Callable[[AgainstStable], float]) -> Iterator[float]:
        if self._gate.against_stable is not None:
            margins = self._gate.against_stable
            yield min(1.0, max(ratio(margins) * self._bad, margins.floor))
        if self._gate.limit is not None:
            yield self._gate.limit

    def _status(self, gate: Gate, shares: Shares, candidate_bad: float, seconds: float) -> Status:
        judge = Judge((gate,), phi=self._phi * _PARTS, checks_split=False)
        judge.add(
            Interval(
                sequence=0,
                step=0,
                weight=round(100 * shares.candidate),
                opened_at=_NOON,
                closed_at=_NOON + timedelta(seconds=seconds),
                candidate=self._counts(self._rps * shares.candidate * seconds, candidate_bad),
                stable=self._counts(self._rps * shares.stable * seconds, self._bad),
                bounds_ms=self._bounds,
            )
        )
        return judge.statuses(0)[0]

    @property
    def _bounds(self) -> tuple[float, ...]:
        return () if self._gate.slow_over_ms is None else (self._gate.slow_over_ms,)

    def _counts(self, expected: float, fraction: float) -> Counts:
        requests = round(expected * _PARTS)
        bad = min(requests, round(expected * fraction * _PARTS))
        if self._gate.metric is Metric.LATENCY:
            return Counts(requests=requests, errors=0, within=(requests - bad,))
        return Counts(requests=requests, errors=bad)


def rules_of(gate: Gate) -> int:
    """How many chances of a false alarm a gate is; one in a dry run decides nothing."""
    if gate.dry_run:
        return 0
    return (gate.limit is not None) + (gate.against_stable is not None)


def median_pace(needed: float, ratio: float) -> float:
    """The median moment of crossing a line over that at which the expected evidence reaches it.

    Evidence is a random walk that may be early: the first passage of a line at `needed` (in nats)
    is inverse Gaussian with mean 1 and shape needed mu/v. Drift mu and variance v are those of the
    Poisson log likelihood ratio of a rate `ratio` times the one at the line; v/2mu is 1 for small
    differences and 0 where nothing bad is expected, so that nothing is left to chance. It is held
    at 1 above: there single requests decide, and the walk is no Brownian motion.
    """
    if ratio <= 0:
        return 1.0
    log_ratio = math.log(ratio)
    drift = ratio * log_ratio - ratio + 1
    scatter = min(1.0, ratio * log_ratio**2 / (2 * drift)) if drift > _FLAT else 1.0
    shape = min(needed / (2 * scatter), _SURE)
    low, high = 0.0, 1.0
    while high - low > _FLAT:
        middle = (low + high) / 2
        low, high = (low, middle) if _passed_by(middle, shape) > 1 / 2 else (middle, high)
    return high


def _passed_by(moment: float, shape: float) -> float:
    """The inverse Gaussian's distribution function for mean 1."""
    normal, root = NormalDist(), math.sqrt(shape / moment)
    return normal.cdf(root * (moment - 1)) + math.exp(2 * shape) * normal.cdf(-root * (moment + 1))


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
