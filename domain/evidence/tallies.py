"""What a gate counts in an interval, and the running sums over intervals that its tests need."""

from dataclasses import dataclass
from datetime import datetime

from domain.evidence.intervals import Counts, Interval
from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import RatioTest
from domain.gates import Gate, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One interval through a gate's eyes: how many were counted, and how many were bad."""

    candidate_requests: int
    candidate_bad: int
    stable_requests: int
    stable_bad: int


def observe(gate: Gate, interval: Interval) -> Observation | None:
    """What the gate counts in the interval; None when it holds no count at the gate's bound."""
    if gate.metric is Metric.ERROR_RATE:
        candidate = _bad(interval.candidate.requests, interval.candidate.errors)
        stable = _bad(interval.stable.requests, interval.stable.errors)
    else:
        if gate.bound not in interval.bounds_ms:
            return None
        bound = interval.bounds_ms.index(gate.bound)
        candidate = _beyond(gate, interval.candidate, bound)
        stable = _beyond(gate, interval.stable, bound)
    return Observation(
        candidate_requests=candidate[0],
        candidate_bad=candidate[1],
        stable_requests=stable[0],
        stable_bad=stable[1],
    )


def _beyond(gate: Gate, counts: Counts, bound: int) -> tuple[int, int]:
    """Those on the bad side of a bound, which is above it unless the gate says otherwise."""
    requests = counts.requests if counts.timed is None else counts.timed
    within = counts.within[bound]
    return _bad(requests, within if gate.no_more_than is not None else requests - within)


def _bad(requests: int, bad: int) -> tuple[int, int]:
    return requests, min(max(bad, 0), requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Sums of observations at one moment."""

    at: datetime | None
    seen: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What a step asks for in place of a PASS of its own: proof from `total`, the whole rollout.

    The ratio to stable must lie below `margin`.
    """

    margin: float
    total: "Tally"


@dataclass(slots=True, kw_only=True)
class Tally:
    """Sums over intervals. `beside` are the candidate's requests in those where stable had some.

    `due_beside` is how many of these would be bad at stable's rate, each interval at its own. `ell`
    is the rate ratio's state. `reached_at` is when the last interval closed in which the candidate
    had requests. `rung` is that of the step that is tallied; None: a PASS of its own.
    """

    ell: Floats
    candidate_requests: int = 0
    candidate_bad: int = 0
    stable_requests: int = 0
    stable_bad: int = 0
    beside: int = 0
    due_beside: float = 0.0
    seconds: float = 0.0
    intervals: int = 0
    resets: int = 0
    weight: int | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    reached_at: datetime | None = None
    rung: Rung | None = None

    def add(self, seen: Observation, interval: Interval, increment: Floats | None) -> None:
        """Add one interval, and what it adds to the rate ratio's state (None: nothing)."""
        if increment is not None:
            self.ell += increment
        self.candidate_requests += seen.candidate_requests
        self.candidate_bad += seen.candidate_bad
        self.stable_requests += seen.stable_requests
        self.stable_bad += seen.stable_bad
        if seen.stable_requests:
            self.beside += seen.candidate_requests
            self.due_beside += seen.candidate_requests * seen.stable_bad / seen.stable_requests
        self.seconds += (interval.closed_at - interval.opened_at).total_seconds()
        self.intervals += 1
        self.resets += interval.resets
        self.weight = interval.weight
        self.opened_at = self.opened_at or interval.opened_at
        self.closed_at = interval.closed_at
        if seen.candidate_requests:
            self.reached_at = interval.closed_at

    @property
    def expected(self) -> float:
        """The candidate's bad at stable's rate; where stable had no request, as in the rest."""
        return self.due_beside * self.candidate_requests / self.beside if self.beside else 0.0

    def counted(self) -> Counted:
        """What was counted so far, to keep."""
        seen = Observation(
            candidate_requests=self.candidate_requests,
            candidate_bad=self.candidate_bad,
            stable_requests=self.stable_requests,
            stable_bad=self.stable_bad,
        )
        return Counted(at=self.closed_at, seen=seen)


def increment_of(test: RatioTest, seen: Observation, phi: float) -> Floats | None:
    """What the interval adds to the rate ratio's state; None when it says nothing of it."""
    bad = seen.candidate_bad + seen.stable_bad
    if not (bad and seen.candidate_requests and seen.stable_requests):
        return None
    return test.increment(
        (seen.candidate_requests, seen.candidate_bad), (seen.stable_requests, seen.stable_bad), phi
    )
