"""What a rollout promises about its candidate: one metric and its rule a gate."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """What is counted as bad. Both are fractions of requests, so one test judges both."""

    ERROR_RATE = "error_rate"
    LATENCY = "latency"


class Source(StrEnum):
    """Where the counters of a variant come from."""

    ENVOY = "envoy"


# Envoy's default histogram bounds, in milliseconds: a latency gate can only count at one of these.
ENVOY_BOUNDS_MS: tuple[float, ...] = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstStable:
    """The candidate's bad fraction over that of the stable beside it.

    FAIL when proven above `fail_ratio` and above `floor`; PASS when proven below `pass_ratio` or
    below `floor` (a fraction of requests that nobody cares about).
    """

    fail_ratio: float = 1.25
    pass_ratio: float = 1.5
    floor: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One metric with its rules: against stable, against an absolute limit, or both.

    `limit` is the largest acceptable fraction of bad requests. For latency a request is bad when
    it took longer than `slow_over_ms`. `alpha` bounds the chance of a false FAIL over the whole
    rollout, however often one looks; `beta` that of a false PASS. A gate that is not `critical`
    pauses where another rolls back; one in a `dry_run` decides nothing.
    """

    name: str
    metric: Metric
    source: Source = Source.ENVOY
    slow_over_ms: float | None = None
    limit: float | None = None
    against_stable: AgainstStable | None = None
    alpha: float = 0.05
    beta: float = 0.05
    critical: bool = True
    dry_run: bool = False
