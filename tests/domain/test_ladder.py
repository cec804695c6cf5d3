"""A canary's spec with margins: what each step asks for, and the rules that a ladder keeps."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import InvalidSpec
from domain.gates import AgainstStable
from domain.steps import Soak
from domain.strategies.canary import compile_canary
from domain.strategies.canary_steps import Analysis, CanaryStep, Weight
from tests.plans import ERRORS, canary_spec, parties

HOUR = timedelta(hours=1)


def ladder(*margins, **changes):
    steps = tuple(
        CanaryStep(weight=10 * i, soak=HOUR, margin=margin) for i, margin in enumerate(margins, 1)
    )
    return canary_spec(steps=steps, **changes)


def broken(spec):
    with pytest.raises(InvalidSpec) as refused:
        compile_canary(spec, parties())
    return {one.field: one.rule for one in refused.value.violations}


def test_each_soak_of_the_plan_has_the_margin_of_its_step():
    plan = compile_canary(ladder(4.0, None, 1.5), parties())
    soaks = [step for step in plan.steps if isinstance(step, Soak)]
    assert [soak.margin for soak in soaks] == [4.0, None, 1.5]
    assert [plan.margins[plan.steps.index(soak)] for soak in soaks[::2]] == [4.0, 1.5]
    assert len(plan.margins) == 2
    assert str(soaks[0]) == "soak at 10 % until below 4 times stable, 1 h at most"


def test_an_analysis_may_have_a_margin_too():
    steps = (Weight(weight=10), Analysis(at_most=HOUR, margin=1.5))
    plan = compile_canary(canary_spec(steps=steps), parties())
    assert list(plan.margins.values()) == [1.5]


@pytest.mark.parametrize(
    ("spec", "field", "rule"),
    [
        (ladder(4.0, 1.0), "steps.1.margin", "above 1"),
        (ladder(17.0, 1.5), "steps.0.margin", "at most 16"),
        (ladder(1.5, 2.5, 1.5), "steps.1.margin", "2.5 after 1.5"),
        (ladder(4.0, 1.75), "steps.1.margin", "the pass_ratio of every gate, 1.5"),
        (
            ladder(1.5, gates=(replace(ERRORS, against_stable=None, limit=0.1),)),
            "steps.0.margin",
            "needs a gate with against_stable",
        ),
        (
            canary_spec(steps=(Weight(weight=10), Analysis(at_most=HOUR, margin=2.0))),
            "steps.1.analysis.margin",
            "pass_ratio",
        ),
    ],
)
def test_a_ladder_that_breaks_a_rule_is_refused_by_field(spec, field, rule):
    assert rule in broken(spec)[field]


def test_the_last_margin_is_held_against_the_strictest_gate():
    wide = replace(ERRORS, name="wide", against_stable=AgainstStable(pass_ratio=4.0))
    assert "steps.0.margin" in broken(ladder(2.0, gates=(ERRORS, wide)))
    assert compile_canary(ladder(2.0, gates=(wide,)), parties()).margins
