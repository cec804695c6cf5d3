"""A canary's spec: what is refused, with the field and the rule."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec
from domain.gates import AgainstStable, Gate, Metric
from domain.steps import Reaction, SetWeights, Soak
from domain.strategies.canary_steps import CanaryStep
from domain.strategies.compiling import compile_plan
from tests.plans import ERRORS, canary_spec, parties, plan, policies, variant


def violations(spec) -> dict[str, str]:
    with pytest.raises(InvalidSpec) as caught:
        plan(spec)
    return {violation.field: violation.rule for violation in caught.value.violations}


@pytest.mark.parametrize("weight", [-1, 0, 100, 101])
def test_a_weight_outside_1_to_99_is_refused(weight):
    assert "1..99" in violations(canary_spec(weight))["steps.0.weight"]


@pytest.mark.parametrize("weights", [(10, 10), (50, 10), (5, 20, 15)])
def test_weights_must_increase(weights):
    broken = violations(canary_spec(*weights))

    assert "above the step before it" in broken[f"steps.{len(weights) - 1}.weight"]


def test_a_canary_needs_steps():
    assert "1 to 50" in violations(replace(canary_spec(10), steps=()))["steps"]


def test_a_negative_soak_is_refused():
    step = CanaryStep(weight=10, soak=timedelta(seconds=-1))

    assert "negative" in violations(replace(canary_spec(10), steps=(step,)))["steps.0.soak_seconds"]


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        (replace(ERRORS, name="No Label"), "gates.0.name"),
        (replace(ERRORS, against_stable=None), "gates.0"),
        (replace(ERRORS, limit=1.5), "gates.0.limit"),
        (replace(ERRORS, alpha=0), "gates.0.alpha"),
        (replace(ERRORS, slow_over_ms=250), "gates.0.slow_over_ms"),
        (
            Gate(name="slow", metric=Metric.LATENCY, slow_over_ms=200, limit=0.1),
            "gates.0.slow_over_ms",
        ),
        (Gate(name="slow", metric=Metric.LATENCY, limit=0.1), "gates.0.slow_over_ms"),
        (
            replace(ERRORS, against_stable=AgainstStable(fail_ratio=2)),
            "gates.0.against_stable.pass_ratio",
        ),
        (
            replace(ERRORS, against_stable=AgainstStable(fail_ratio=0.5)),
            "gates.0.against_stable.fail_ratio",
        ),
        (replace(ERRORS, against_stable=AgainstStable(floor=0)), "gates.0.against_stable.floor"),
    ],
)
def test_a_gate_that_breaks_a_rule_is_refused_by_field(gate, field):
    assert field in violations(canary_spec(10, gates=(gate,)))


def test_two_gates_of_one_name_are_refused():
    assert "another gate" in violations(canary_spec(10, gates=(ERRORS, ERRORS)))["gates.1.name"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"on_failure": Reaction.ADVANCE}, "policies.on_failure"),
        ({"on_not_ready": Reaction.ADVANCE}, "policies.on_not_ready"),
        ({"on_drift": Reaction.ADVANCE}, "policies.on_drift"),
        ({"deadline": timedelta(0)}, "policies.deadline_seconds"),
        ({"clearance_deadline": timedelta(0)}, "policies.clearance_deadline_seconds"),
        ({"drain": timedelta(seconds=-1)}, "policies.drain_seconds"),
        ({"warm_up": timedelta(seconds=-1)}, "policies.warm_up_seconds"),
        ({"overdispersion": 0.5}, "policies.overdispersion"),
        ({"overdispersion": float("nan")}, "policies.overdispersion"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused_by_field(changes, field):
    assert field in violations(canary_spec(10, policies=policies(**changes)))


def test_every_broken_rule_is_named_at_once():
    broken = violations(canary_spec(0, 0, gates=(replace(ERRORS, alpha=2),)))

    assert {"steps.0.weight", "steps.1.weight", "gates.0.alpha"} <= set(broken)


def test_the_version_that_stable_serves_is_no_candidate():
    stable = variant("stable", 0, "v1")
    same = replace(stable, name="canary", slot=1)
    with pytest.raises(InvalidSpec, match="target_version_id"):
        compile_plan(canary_spec(), parties(stable=stable, candidate=same))


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=50, unique=True).map(sorted),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_every_weight_of_every_plan_sums_to_100(weights, stable_slot, candidate_slot):
    made = plan(canary_spec(*weights))
    if stable_slot != candidate_slot:
        made = replace(
            made,
            stable=replace(made.stable, slot=stable_slot),
            candidate=replace(made.candidate, slot=candidate_slot),
        )
    live = [step.candidate for step in made.steps if isinstance(step, SetWeights)]

    assert live == [*weights, 100]
    assert [step.weight for step in made.steps if isinstance(step, Soak)] == weights
    for weight in live:
        slots = made.slots_at(weight)
        assert sum(slot.weight for slot in slots) == 100
        assert slots[made.candidate.slot].workload == made.candidate.workload.name
        assert slots[made.candidate.slot].weight == weight
