"""The rules that hold for gates, whatever the strategy."""

from collections.abc import Iterator, Sequence

from domain.errors import Violation
from domain.gates import ENVOY_BOUNDS_MS, AgainstStable, Gate, Metric
from domain.names import name_violations
from domain.reading_gates import AnyGate, ReadingGate, reading_gate_violations

MOST_GATES = 20


def gate_violations(gates: Sequence[AnyGate]) -> Iterator[Violation]:
    if len(gates) > MOST_GATES:
        yield Violation("gates", f"must be at most {MOST_GATES}")
    yield from name_violations("gate", [gate.name for gate in gates])
    for i, gate in enumerate(gates):
        if isinstance(gate, ReadingGate):
            yield from reading_gate_violations(f"gates.{i}", gate)
        else:
            yield from _statistical_violations(f"gates.{i}", gate)


def _statistical_violations(at: str, gate: Gate) -> Iterator[Violation]:
    if gate.limit is None and gate.against_stable is None:
        yield Violation(at, "needs a limit, against_stable, or both")
    if gate.limit is not None and not 0 < gate.limit < 1:
        yield Violation(f"{at}.limit", "must be a fraction of requests between 0 and 1")
    yield from odds_violations(at, gate.alpha, gate.beta)
    yield from _latency_violations(at, gate)
    yield from _margin_violations(f"{at}.against_stable", gate.against_stable)


def odds_violations(at: str, alpha: float, beta: float) -> Iterator[Violation]:
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value <= 0.5:  # noqa: PLR2004 - a coin toss is no proof
            yield Violation(f"{at}.{name}", "must lie above 0 and be at most 0.5")


def _latency_violations(at: str, gate: Gate) -> Iterator[Violation]:
    if gate.metric is Metric.LATENCY and gate.slow_over_ms not in ENVOY_BOUNDS_MS:
        bounds = ", ".join(f"{bound:g}" for bound in ENVOY_BOUNDS_MS)
        yield Violation(
            f"{at}.slow_over_ms", f"must be a bound that the source counts at: {bounds}"
        )
    if gate.metric is not Metric.LATENCY and gate.slow_over_ms is not None:
        yield Violation(f"{at}.slow_over_ms", "belongs to the metric latency only")


def _margin_violations(at: str, margin: AgainstStable | None) -> Iterator[Violation]:
    if margin is None:
        return
    if not 1 <= margin.fail_ratio <= 16:  # noqa: PLR2004 - the grid of ratios ends at 64
        yield Violation(f"{at}.fail_ratio", "must lie in 1..16")
    if not 1 < margin.pass_ratio <= 16:  # noqa: PLR2004
        yield Violation(f"{at}.pass_ratio", "must lie above 1 and be at most 16")
    if margin.fail_ratio > margin.pass_ratio:
        yield Violation(f"{at}.pass_ratio", "must not be below fail_ratio")
    if not 0 < margin.floor < 1:
        yield Violation(f"{at}.floor", "must be a fraction of requests between 0 and 1")
