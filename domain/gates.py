"""What a rollout promises about its candidate: one metric and its rule a gate."""

from dataclasses import dataclass
from enum import StrEnum


class Metric(StrEnum):
    """What is counted as bad. All are fractions of what was counted, so one test judges them all.

    TOKENS are those of an answer.
    """

    ERROR_RATE = "error_rate"
    LATENCY = "latency"
    TIME_TO_FIRST_TOKEN = "time_to_first_token"  # noqa: S105 - of a language model
    TIME_PER_OUTPUT_TOKEN = "time_per_output_token"  # noqa: S105
    TOKENS = "tokens"


TIMES = frozenset({Metric.LATENCY, Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN})


class Source(StrEnum):
    """Where the counters of a variant come from: who counts them. `domain.sources` says what."""

    ENVOY = "envoy"
    GEN_AI = "gen_ai"
    VLLM = "vllm"
    KSERVE = "kserve"
    KNATIVE = "knative"
    ISTIO = "istio"


# Envoy's default histogram bounds, in milliseconds: its latencies can be counted at these only.
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

    `limit` is the largest acceptable fraction of bad requests. For a time a request is bad when it
    took longer than `slow_over_ms`; for tokens, when its answer has `more_than`, or `no_more_than`,
    so many. A time without its bound is counted at those that stable's history gives. `alpha`
    bounds the chance of a false FAIL over the whole rollout, however often one looks; `beta` that
    of a false PASS. A gate that is not `critical` pauses where another rolls back; one
    in a `dry_run` decides nothing.
    """

    name: str
    metric: Metric
    source: Source = Source.ENVOY
    slow_over_ms: float | None = None
    limit: float | None = None
    against_stable: AgainstStable | None = None
    alpha: float = 0.05
    beta: float = 0.05
    more_than: float | None = None
    no_more_than: float | None = None
    critical: bool = True
    dry_run: bool = False

    @property
    def bound(self) -> float | None:
        """The bound of the histogram that the gate counts at; None where it counts failures."""
        given = (self.slow_over_ms, self.more_than, self.no_more_than)
        return next((bound for bound in given if bound is not None), None)

    @property
    def takes_bounds_of_stable(self) -> bool:
        """Whether it counts at the bounds that stable's history gives, as it names none."""
        return self.metric in TIMES and self.slow_over_ms is None
