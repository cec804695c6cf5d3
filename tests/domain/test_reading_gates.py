"""Gates without statistics in a plan: what they may ask, and which of them decide."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import InvalidSpec
from domain.progress import Acted, ActState, Progress
from domain.question_names import names_at
from domain.reading_gates import PLACEHOLDERS, PromQuery
from tests.plans import ERRORS, NOON, QUALITY, ab_test, canary_spec, plan

RULES = QUALITY.rules
SOAK_10 = 2


def asking(query):
    return replace(QUALITY, question=PromQuery(query=query))


def violations(*gates):
    with pytest.raises(InvalidSpec) as refused:
        plan(canary_spec(gates=gates))
    return {one.field: one.rule for one in refused.value.violations}


def test_a_plan_keeps_both_kinds_and_needs_a_verdict_of_each():
    made = plan(canary_spec(gates=(QUALITY, ERRORS)))
    assert (made.gates, made.reading_gates) == ((ERRORS,), (QUALITY,))
    assert [gate.name for gate in made.all_gates] == ["errors", "quality"]
    assert made.verdicts_at(SOAK_10) == 2
    assert made.reading_gates_at(SOAK_10 - 1) == ()


def test_a_plan_may_have_reading_gates_alone_and_counts_nothing_then():
    made = plan(canary_spec(gates=(QUALITY,)))
    assert made.verdicts_at(SOAK_10) == 1
    assert not made.is_counted_at(SOAK_10)
    assert made.is_judged_at(SOAK_10)


def test_names_are_unique_over_both_kinds():
    assert "gates.1.name" in violations(replace(ERRORS, name="quality"), QUALITY)


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        (" ", "must ask something"),
        ("x" * 4001, "at most 4000"),
        ('up{pod="{{candidate.pod}}"}', r"candidate.pod}}, which is not known here"),
        ("sum({{candidate.workload}})", "outside of quotes"),
        ('up{pod="a}', "unclosed"),
    ],
)
def test_a_query_that_cannot_be_filled_in_is_refused_by_its_field(query, rule):
    assert rule in violations(asking(query))["gates.0.query"]


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_every_placeholder_may_stand_in_a_string(name):
    query = f'up{{it="{{{{{name}}}}}"}}'
    assert plan(canary_spec(gates=(asking(query),))).reading_gates == (asking(query),)


def test_a_weight_is_a_number_and_may_stand_anywhere():
    query = "vector({{weight}})"
    assert plan(canary_spec(gates=(asking(query),))).reading_gates == (asking(query),)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"success_condition": ""}, "success_condition"),
        ({"success_condition": "result[1] < 5"}, "success_condition"),
        ({"failure_condition": "eval(1)"}, "failure_condition"),
        ({"interval": timedelta(0)}, "interval_seconds"),
        ({"initial_delay": timedelta(days=8)}, "initial_delay_seconds"),
        ({"interval": None, "count": 3}, "count"),
        ({"failure_limit": None}, "failure_limit"),
    ],
)
def test_rules_of_readings_are_named_as_fields_of_the_gate(changes, field):
    broken = replace(QUALITY, rules=replace(RULES, **changes))
    assert list(violations(ERRORS, broken)) == [f"gates.1.{field}"]


def at(step):
    return Progress(step=step, started_at=NOON, acted=Acted(state=ActState.DONE, at=NOON))


def test_every_placeholder_has_a_value_of_its_kind_wherever_the_walk_is():
    made = plan(canary_spec(10, 50))
    for step, weight in ((SOAK_10, 10), (SOAK_10 + 2, 50)):
        values = names_at(made, at(step), made.candidate)
        assert {name: type(value) for name, value in values.items()} == {
            name: type(value) for name, value in PLACEHOLDERS.items()
        }
        assert values["weight"] == weight
        assert values["candidate.workload"] == made.candidate.workload.name
        assert values["stable.workload"] == made.stable.workload.name


def test_each_arm_of_a_trial_is_asked_about_by_its_own_name():
    made = ab_test()
    one, other = made.challengers
    values = names_at(made, at(2), other)
    assert values["candidate.workload"] == other.workload.name != one.workload.name
