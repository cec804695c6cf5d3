"""The rules for the margins of steps: a ladder that asks for more proof the higher it goes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from domain.errors import Violation
from domain.gates import Gate
from domain.reading_gates import AnyGate
from domain.strategies.canary_steps import Analysis, SpecStep

MOST_RATIO = 16.0


def margin_violations(steps: Sequence[SpecStep], gates: Sequence[AnyGate]) -> Iterator[Violation]:
    """Margins that say nothing, loosen, or end looser than the gates do."""
    said = [
        (_field(i, step), margin)
        for i, step in enumerate(steps)
        if (margin := step.asks_below) is not None
    ]
    ratios = [
        gate.against_stable.pass_ratio
        for gate in gates
        if isinstance(gate, Gate) and gate.against_stable is not None
    ]
    for at, margin in said:
        if not 1 < margin <= MOST_RATIO:
            yield Violation(at, f"must lie above 1 and be at most {MOST_RATIO:g}")
        if not ratios:
            yield Violation(at, "needs a gate with against_stable: nothing else has a ratio")
    for (_, before), (at, after) in pairwise(said):
        if after > before:
            yield Violation(
                at, f"must not be above the step before it ({after:g} after {before:g})"
            )
    if said and ratios and said[-1][1] > min(ratios):
        rule = f"must be at most the pass_ratio of every gate, {min(ratios):g}, as it is the last"
        yield Violation(said[-1][0], rule)


def _field(place: int, step: SpecStep) -> str:
    inside = ".analysis" if isinstance(step, Analysis) else ""
    return f"steps.{place}{inside}.margin"
