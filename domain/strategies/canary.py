"""Canary: the candidate's share grows step by step, each step earned while the gates watch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from domain.errors import Violation
from domain.plan import Plan, Strategy
from domain.steps import Deploy, Promote, Retire, SetWeights, Step
from domain.strategies.canary_steps import SpecStep
from domain.strategies.ladder import margin_violations
from domain.strategies.rules import Parties, Terms, planned
from domain.traffic import FULL

MOST_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySpec(Terms):
    """What a person asks for. The gates watch from step `gates_from` on."""

    steps: tuple[SpecStep, ...]
    gates_from: int = 0


def compile_canary(spec: CanarySpec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    steps = (
        Deploy(),
        *_compiled(spec),
        SetWeights(candidate=FULL),
        Promote(),
        Retire(delay=spec.policies.scale_down_delay),
    )
    return planned(Strategy.CANARY, spec, parties, steps, _violations(spec))


def _compiled(spec: CanarySpec) -> Iterator[Step]:
    weight = 0
    for i, step in enumerate(spec.steps):
        weight = weight if step.gives is None else step.gives
        yield from step.compiled(weight, gated=i >= spec.gates_from)


def _violations(spec: CanarySpec) -> Iterator[Violation]:
    steps = spec.steps
    if not 1 <= len(steps) <= MOST_STEPS:
        yield Violation("steps", f"must hold 1 to {MOST_STEPS} steps")
        return
    if not 0 <= spec.gates_from < len(steps):
        yield Violation("gates_from", f"must be the index of a step, 0 to {len(steps) - 1}")
    for i, step in enumerate(steps):
        yield from step.violations(f"steps.{i}")
        if step.judges and spec.gates and i < spec.gates_from:
            yield Violation(f"steps.{i}", "asks the gates, which watch from gates_from on only")
    yield from _order_violations(steps)
    yield from margin_violations(spec.steps, spec.gates)
    if spec.gates and not _ends_judged(steps):
        rule = "end blind: after the last weight comes an analysis, an approval or an open pause"
        yield Violation("steps", rule)


def _order_violations(steps: Sequence[SpecStep]) -> Iterator[Violation]:
    weights = [
        (i, step.field, step.gives) for i, step in enumerate(steps) if step.gives is not None
    ]
    for (_, _, before), (i, field, after) in pairwise(weights):
        if after <= before:
            rule = f"must be above the step before it ({after} after {before})"
            yield Violation(f"steps.{i}.{field}", rule)


def _ends_judged(steps: Sequence[SpecStep]) -> bool:
    """Whether evidence or a person stands between the last weight and the promotion."""
    last = max((i for i, step in enumerate(steps) if step.gives is not None), default=0)
    return any(step.judges or step.asks for step in steps[last:])
