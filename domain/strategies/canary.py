"""Canary: the candidate's share grows step by step, each step earned while the gates watch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise

from domain.errors import InvalidSpec, Violation
from domain.gates import ENVOY_BOUNDS_MS, AgainstStable, Gate, Metric
from domain.names import LABEL, LABEL_LENGTH
from domain.plan import (
    Deploy,
    Plan,
    Policies,
    Promote,
    Reaction,
    Retire,
    SetWeights,
    Soak,
    Step,
    Strategy,
    Variant,
)
from domain.traffic import FULL, Route

MOST_STEPS = 50
MOST_GATES = 20
DEFAULT_GATES = (Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable()),)


class Pace(StrEnum):
    """EVIDENCE advances as soon as every gate passes; TIME soaks the whole time first."""

    EVIDENCE = "evidence"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStep:
    """A weight for the candidate, and how long to soak at it.

    Paced by evidence, `soak` is the longest time before the step counts as undecided.
    """

    weight: int
    soak: timedelta
    pace: Pace = Pace.EVIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySpec:
    """What a person asks for. Gates that are left out are the error rate against stable."""

    steps: tuple[CanaryStep, ...]
    gates: tuple[Gate, ...] = DEFAULT_GATES
    policies: Policies = field(default_factory=Policies)


def compile_canary(
    spec: CanarySpec,
    *,
    route: Route,
    stable: Variant,
    candidate: Variant,
    bystanders: Iterable[Variant] = (),
) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    violations = tuple(_violations(spec, stable, candidate))
    if violations:
        raise InvalidSpec(*violations)
    steps: list[Step] = [Deploy()]
    for step in spec.steps:
        at_least = step.soak if step.pace is Pace.TIME else timedelta(0)
        steps += [
            SetWeights(candidate=step.weight),
            Soak(weight=step.weight, at_least=at_least, at_most=step.soak),
        ]
    steps += [
        SetWeights(candidate=FULL),
        Promote(),
        Retire(delay=spec.policies.scale_down_delay),
    ]
    return Plan(
        strategy=Strategy.CANARY,
        route=route,
        stable=stable,
        candidate=candidate,
        steps=tuple(steps),
        gates=spec.gates,
        policies=spec.policies,
        bystanders=tuple(bystanders),
    )


def require_defaults(gates: Sequence[Gate], policies: Policies) -> None:
    """Raise InvalidSpec with every rule that the defaults of a traffic config break."""
    violations = (*_gate_violations(gates), *_policy_violations(policies))
    if violations:
        raise InvalidSpec(*(Violation(f"default_{v.field}", v.rule) for v in violations))


def _violations(spec: CanarySpec, stable: Variant, candidate: Variant) -> Iterator[Violation]:
    if stable.version_id == candidate.version_id:
        yield Violation("target_version_id", "is the version that stable already serves")
    if (
        candidate.name == stable.name
        or len(candidate.name) > LABEL_LENGTH
        or not LABEL.fullmatch(candidate.name)
    ):
        yield Violation("candidate_name", "must be an RFC 1123 label other than stable's name")
    yield from _step_violations(spec.steps)
    yield from _gate_violations(spec.gates)
    yield from _policy_violations(spec.policies)


def _step_violations(steps: Sequence[CanaryStep]) -> Iterator[Violation]:
    if not 1 <= len(steps) <= MOST_STEPS:
        yield Violation("steps", f"must hold 1 to {MOST_STEPS} steps")
    for i, step in enumerate(steps):
        if not 1 <= step.weight < FULL:
            rule = f"must lie in 1..99, not {step.weight}; the promotion to 100 follows by itself"
            yield Violation(f"steps.{i}.weight", rule)
        if step.soak < timedelta(0):
            yield Violation(f"steps.{i}.soak_seconds", "must not be negative")
    for i, (before, after) in enumerate(pairwise(steps)):
        if after.weight <= before.weight:
            rule = f"must be above the step before it ({after.weight} after {before.weight})"
            yield Violation(f"steps.{i + 1}.weight", rule)


def _gate_violations(gates: Sequence[Gate]) -> Iterator[Violation]:
    if len(gates) > MOST_GATES:
        yield Violation("gates", f"must be at most {MOST_GATES}")
    names = [gate.name for gate in gates]
    for i, gate in enumerate(gates):
        at = f"gates.{i}"
        if not LABEL.fullmatch(gate.name) or len(gate.name) > LABEL_LENGTH:
            yield Violation(f"{at}.name", f"{gate.name[:80]!r} is not an RFC 1123 label")
        if names.index(gate.name) != i:
            yield Violation(f"{at}.name", f"{gate.name!r} names another gate already")
        if gate.limit is None and gate.against_stable is None:
            yield Violation(at, "needs a limit, against_stable, or both")
        if gate.limit is not None and not 0 < gate.limit < 1:
            yield Violation(f"{at}.limit", "must be a fraction of requests between 0 and 1")
        for field_name, value in (("alpha", gate.alpha), ("beta", gate.beta)):
            if not 0 < value <= 0.5:  # noqa: PLR2004 - a coin toss is no proof
                yield Violation(f"{at}.{field_name}", "must lie above 0 and be at most 0.5")
        yield from _latency_violations(at, gate)
        yield from _margin_violations(f"{at}.against_stable", gate.against_stable)


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


def _policy_violations(policies: Policies) -> Iterator[Violation]:
    for name in ("on_failure", "on_metrics_unavailable", "on_not_ready", "on_not_settled"):
        if getattr(policies, name) is Reaction.ADVANCE:
            yield Violation(f"policies.{name}", "must be hold, pause or rollback")
    if policies.on_drift not in (Reaction.PAUSE, Reaction.ROLL_BACK):
        yield Violation("policies.on_drift", "must be pause or rollback")
    if policies.on_not_ready is Reaction.HOLD:
        yield Violation("policies.on_not_ready", "must be pause or rollback: users are hit")
    for name in (
        "metrics_stall",
        "deploy_deadline",
        "settle_deadline",
        "deadline",
        "probe_interval",
    ):
        if getattr(policies, name) <= timedelta(0):
            yield Violation(f"policies.{name}_seconds", "must be above 0")
    for name in ("scale_down_delay", "drain"):
        if getattr(policies, name) < timedelta(0):
            yield Violation(f"policies.{name}_seconds", "must not be negative")
