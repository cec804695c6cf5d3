"""The rules that hold for gates, whatever the strategy."""

from collections.abc import Iterator, Sequence

from domain.errors import Violation
from domain.gates import TIMES, AgainstStable, Gate, Metric, Source
from domain.names import name_violations
from domain.reading_gates import AnyGate, ReadingGate, reading_gate_violations
from domain.sources import GIVES, who_gives
from domain.workloads import Protocol

MOST_GATES = 20
_OPENAI_ONLY = frozenset({Source.GEN_AI, Source.VLLM})


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
    yield from _metric_violations(at, gate)
    yield from _margin_violations(f"{at}.against_stable", gate.against_stable)


def protocol_violations(gates: Sequence[Gate], protocol: Protocol) -> Iterator[Violation]:
    """Gates on sources that count nothing of what a service speaks."""
    for i, gate in enumerate(gates):
        if gate.source in _OPENAI_ONLY and protocol is not Protocol.OPENAI:
            rule = f"counts requests of the protocol openai only, and the service speaks {protocol}"
            yield Violation(f"gates.{i}.source", rule)


def odds_violations(at: str, alpha: float, beta: float) -> Iterator[Violation]:
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value <= 0.5:  # noqa: PLR2004 - a coin toss is no proof
            yield Violation(f"{at}.{name}", "must lie above 0 and be at most 0.5")


def _metric_violations(at: str, gate: Gate) -> Iterator[Violation]:
    if gate.metric not in GIVES[gate.source]:
        able = ", ".join(who_gives(gate.metric))
        rule = f"must be one that counts {gate.metric}, which {gate.source} does not: {able}"
        yield Violation(f"{at}.source", rule)
    if gate.metric is Metric.TOKENS and (gate.more_than is None) == (gate.no_more_than is None):
        yield Violation(f"{at}.more_than", "or no_more_than is needed for tokens, one of them")
    if gate.takes_bounds_of_stable and gate.limit is not None:
        yield Violation(f"{at}.slow_over_ms", f"is needed with a limit: {_bounds_of(gate)}")
    for name, belongs in (
        ("slow_over_ms", gate.metric in TIMES),
        ("more_than", gate.metric is Metric.TOKENS),
        ("no_more_than", gate.metric is Metric.TOKENS),
    ):
        bound = getattr(gate, name)
        if bound is not None:
            yield from _bound_violations(f"{at}.{name}", gate, bound, belongs=belongs)


def _bound_violations(at: str, gate: Gate, bound: float, *, belongs: bool) -> Iterator[Violation]:
    if not belongs:
        owners = "latency and the other times" if at.endswith("slow_over_ms") else "tokens"
        yield Violation(at, f"belongs to the metric {owners} only")
        return
    counted = GIVES[gate.source].get(gate.metric)
    if (counted is None and not bound > 0) or (counted and bound not in counted):
        yield Violation(at, _bounds_of(gate))


def _bounds_of(gate: Gate) -> str:
    """The rule for the bound that a gate counts at."""
    counted = GIVES[gate.source].get(gate.metric)
    if not counted:
        return "must be a bound above 0 that the source counts at"
    bounds = ", ".join(f"{bound:.10g}" for bound in counted)
    return f"must be a bound that the source counts at: {bounds}"


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
