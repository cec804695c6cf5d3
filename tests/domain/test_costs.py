"""What answers cost, from tokens and a pinned price."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.conditions.parser import parse
from domain.conditions.truth import Truth, holds_for_every
from domain.costs import CostUnknown, cost_answer, priced
from domain.errors import InvalidSpec
from domain.metrics import NOTHING, Measurement
from domain.prices import TokenPrice
from domain.reading_gates import CostQuestion, CostUnit, ReadingGate
from domain.readings.rules import ReadingRules
from domain.strategies.blue_green import BlueGreenSpec
from domain.strategies.canary_steps import Analysis
from domain.strategies.shadow import ShadowSpec
from domain.workloads import Protocol
from tests.plans import ERRORS, QUALITY, ab_test, canary_spec, plan

PRICE = TokenPrice(input=3, output=15, currency="EUR")
PER_REQUEST = CostQuestion(per=CostUnit.REQUEST, limit=0.01, price=PRICE)
PER_TOKENS = replace(PER_REQUEST, per=CostUnit.THOUSAND_TOKENS)


def measured(requests, into, out):
    return Measurement(requests=requests, input_tokens=into, output_tokens=out)


# 10 requests for 3 * 0.01 + 15 * 0.002 = 0.06.
CANDIDATE, STABLE = measured(10, 10_000, 2_000), measured(100, 100_000, 2_000)


def gate(question):
    rules = ReadingRules(success_condition=question.condition, interval=timedelta(seconds=30))
    return ReadingGate(name="cost", question=question, rules=rules)


def test_a_cost_per_request_is_the_price_of_its_tokens():
    assert cost_answer(PER_REQUEST, CANDIDATE, NOTHING) == pytest.approx((0.006,))


def test_a_cost_per_thousand_tokens_is_of_both_directions():
    assert cost_answer(PER_TOKENS, CANDIDATE, NOTHING) == pytest.approx((0.005,))


def test_a_cost_against_stable_is_how_many_times_stables_it_is():
    beside = replace(PER_REQUEST, limit=None, times_stable=1.2)
    # Stable's 100 requests cost 0.33.
    assert cost_answer(beside, CANDIDATE, STABLE) == pytest.approx((0.006 / 0.0033,))


def test_an_answer_without_tokens_of_its_own_costs_what_was_asked():
    assert cost_answer(PER_REQUEST, measured(10, 1000, None), NOTHING) == pytest.approx((0.0003,))


def test_a_cost_per_thousand_tokens_needs_no_count_of_requests():
    assert cost_answer(PER_TOKENS, measured(None, 10_000, 2_000), NOTHING) == pytest.approx(
        (0.005,)
    )


@pytest.mark.parametrize("requests", [None, 0.0])
def test_without_a_request_there_is_no_number(requests):
    beside = replace(PER_REQUEST, limit=None, times_stable=1.2)
    idle = measured(requests, None, None)
    assert cost_answer(PER_REQUEST, idle, STABLE) == ()
    assert cost_answer(PER_TOKENS, idle, STABLE) == ()
    assert cost_answer(beside, idle, STABLE) == ()
    assert cost_answer(beside, CANDIDATE, idle) == ()


@pytest.mark.parametrize(
    ("question", "candidate", "stable", "why"),
    [
        (replace(PER_REQUEST, price=None), CANDIDATE, STABLE, "no price"),
        (PER_REQUEST, measured(10, None, None), STABLE, "no tokens of the candidate"),
        (PER_TOKENS, measured(10, 0, 0), STABLE, "no tokens of the candidate"),
        (
            replace(PER_REQUEST, limit=None, times_stable=1.2),
            CANDIDATE,
            measured(10, None, None),
            "no tokens of stable",
        ),
        (
            replace(
                PER_REQUEST, limit=None, times_stable=1.2, price=TokenPrice(input=0, output=15)
            ),
            CANDIDATE,
            measured(10, 1000, None),
            "stable costs nothing",
        ),
    ],
)
def test_what_is_missing_is_said_and_no_number_made_up(question, candidate, stable, why):
    with pytest.raises(CostUnknown, match=why):
        cost_answer(question, candidate, stable)


@pytest.mark.parametrize("limit", [0.006, 1e-07, 3, 1e300])
def test_a_limit_is_a_condition_that_is_true_up_to_the_limit_itself(limit):
    condition = parse(replace(PER_REQUEST, limit=limit).condition)
    assert holds_for_every(condition, (float(limit),)) is Truth.TRUE
    assert holds_for_every(condition, (limit * 1.0001,)) is Truth.FALSE
    assert holds_for_every(condition, ()) is Truth.UNKNOWN


def test_a_price_is_pinned_where_a_cost_is_asked_for_and_nowhere_else():
    asked = gate(replace(PER_REQUEST, price=None))
    gates = priced((ERRORS, asked, QUALITY), "chat", {"chat": PRICE})
    assert gates == (ERRORS, gate(PER_REQUEST), QUALITY)


def test_a_model_without_a_price_is_refused_by_the_gate_that_needs_it():
    with pytest.raises(InvalidSpec) as refused:
        priced((ERRORS, gate(PER_REQUEST)), "chat", {"mini": PRICE})
    assert [one.field for one in refused.value.violations] == ["gates.1.cost"]
    assert priced((ERRORS, QUALITY), "chat", {}) == (ERRORS, QUALITY)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"limit": None}, "gates.0.cost"),
        ({"times_stable": 1.5}, "gates.0.cost"),
        ({"limit": 0.0}, "gates.0.cost.limit"),
        ({"limit": None, "times_stable": -1.0}, "gates.0.cost.times_stable"),
        ({"window": timedelta(seconds=4)}, "gates.0.cost.window_seconds"),
    ],
)
def test_a_question_of_cost_that_makes_no_sense_is_refused_by_its_field(changes, field):
    with pytest.raises(InvalidSpec) as refused:
        plan(canary_spec(gates=(gate(replace(PER_REQUEST, **changes)),)))
    assert [one.field for one in refused.value.violations] == [field]


def per(unit):
    return (gate(replace(PER_REQUEST, per=unit)),)


def sticky(unit):
    return ab_test(gates=per(unit), sticky_header="x-user")


def shadowed(unit):
    spec = ShadowSpec(gates=per(unit), percent=20, at_most=timedelta(minutes=1))
    return plan(spec, protocol=Protocol.V1)


def previewed(unit):
    judged = Analysis(at_most=timedelta(minutes=1))
    return plan(BlueGreenSpec(gates=per(unit), pre_promotion=judged))


@pytest.mark.parametrize("made", [sticky, shadowed, previewed])
def test_requests_that_no_slot_counts_have_no_cost_for_each(made):
    """Their tokens are counted all the same: the cost of each would be told too high."""
    assert made(CostUnit.THOUSAND_TOKENS).reading_gates
    with pytest.raises(InvalidSpec) as refused:
        made(CostUnit.REQUEST)
    assert [one.field for one in refused.value.violations] == ["gates.0.cost.per"]


def test_requests_of_a_split_by_chance_have_a_cost_for_each():
    assert plan(canary_spec(gates=per(CostUnit.REQUEST))).reading_gates
    assert ab_test(gates=per(CostUnit.REQUEST)).reading_gates
