"""Valid intervals in one line; a test names only what matters to it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings

from domain.evidence.intervals import Counts, Interval
from domain.gates import AgainstStable, Gate, Metric

# The same examples on every machine, however slow: a property is not a timed test.
unhurried = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Arm = tuple[int, int]
"""Requests, and how many of them were bad."""


def interval(
    sequence: int,
    candidate: Arm,
    stable: Arm,
    *,
    step: int = 0,
    weight: int = 10,
    seconds: float = 1.0,
    metric: Metric = Metric.ERROR_RATE,
) -> Interval:
    """The bad of both arms are errors, or responses slower than 250 ms."""
    slow = metric is Metric.LATENCY

    def counts(arm: Arm) -> Counts:
        requests, bad = arm
        return Counts(
            requests=requests,
            errors=0 if slow else bad,
            within=(requests - bad, requests) if slow else (),
        )

    return Interval(
        sequence=sequence,
        step=step,
        weight=weight,
        opened_at=NOON + timedelta(seconds=sequence * seconds),
        closed_at=NOON + timedelta(seconds=(sequence + 1) * seconds),
        candidate=counts(candidate),
        stable=counts(stable),
        bounds_ms=(250.0, 1000.0) if slow else (),
    )


def run(
    rows: Iterable[tuple[Arm, Arm]], *, start: int = 0, step: int = 0, weight: int = 10
) -> list[Interval]:
    """Consecutive intervals of one second."""
    return [
        interval(sequence, candidate, stable, step=step, weight=weight)
        for sequence, (candidate, stable) in enumerate(rows, start)
    ]


def error_gate(
    *,
    against_stable: AgainstStable | None = AgainstStable(),  # noqa: B008 - frozen
    limit: float | None = None,
    alpha: float = 0.05,
    beta: float = 0.05,
) -> Gate:
    return Gate(
        name="errors",
        metric=Metric.ERROR_RATE,
        against_stable=against_stable,
        limit=limit,
        alpha=alpha,
        beta=beta,
    )


def latency_gate(
    *,
    against_stable: AgainstStable | None = AgainstStable(),  # noqa: B008 - frozen
    limit: float | None = None,
    slow_over_ms: float = 250.0,
) -> Gate:
    return Gate(
        name="latency",
        metric=Metric.LATENCY,
        slow_over_ms=slow_over_ms,
        against_stable=against_stable,
        limit=limit,
    )
