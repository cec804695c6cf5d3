"""How the steps of a plan hang together ahead of it: times, margins, warm-ups, what is foreseen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.evidence.base_rates import BaseRates
from domain.evidence.baseline import Baseline
from domain.gates import AgainstStable
from domain.outlook import PlanOutlook, stays_of
from domain.outlook_words import NOBODY, ONLY_TESTERS
from domain.readings.rules import ReadingRules
from domain.steps import SetWeights, Soak, Until
from domain.traffic import HeaderMatch
from domain.traffic_seen import TrafficSeen
from tests.comparisons import a_comparison
from tests.plans import ERRORS, QUALITY, ab_test, canary_spec, plan, policies

HOUR = timedelta(hours=1)
USUAL = BaseRates(per_second=100.0, bad=(0.01,))


def soak(weight, *, at_least=timedelta(0), at_most=HOUR, **changes):
    return Soak(weight=weight, at_least=at_least, at_most=at_most, **changes)


def walk(*soaks, gates=(ERRORS,), warm_up=0.0, **changes):
    """A plan of these soaks, each at its own weight."""
    steps = [step for one in soaks for step in (SetWeights(candidate=one.weight), one)]
    made = plan(canary_spec(policies=policies(warm_up=timedelta(seconds=warm_up))))
    return replace(made, steps=tuple(steps), gates=gates, **changes)


def seen(**rates):
    return TrafficSeen(
        window=HOUR,
        requests=360_000,
        requests_per_second=100.0,
        rates=rates or {"errors": USUAL},
        missing={},
        baseline=Baseline(),
    )


def ahead(made, of=None):
    return list(PlanOutlook(made, of or seen(), weights=()).steps())


def passes(step):
    return step.gates[0].outlook.seconds_to_pass


def test_a_step_lasts_until_the_slowest_gate_passes():
    quick = replace(ERRORS, name="quick", against_stable=AgainstStable(floor=0.1))
    (step,) = ahead(walk(soak(10), gates=(ERRORS, quick)), seen(errors=USUAL, quick=USUAL))
    slow, fast = (gate.outlook.seconds_to_pass for gate in step.gates)
    assert fast < slow == step.expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"at_least": timedelta(minutes=30)}, 1800),
        ({"at_most": timedelta(minutes=1)}, 60),
        ({"at_least": HOUR, "at_most": HOUR, "until": Until.ELAPSED}, 3600),
        ({"until": Until.PROMOTED}, None),
        ({"until": Until.APPROVED}, None),
    ],
)
def test_a_step_lasts_as_long_as_it_is_told_to(changes, expected):
    (step,) = ahead(walk(soak(10, **changes)))
    assert step.expected == expected


def test_a_gate_in_a_dry_run_is_not_waited_for():
    shown = replace(ERRORS, name="shown", dry_run=True)
    quick = replace(ERRORS, name="quick", against_stable=AgainstStable(floor=0.1))
    (step,) = ahead(walk(soak(10), gates=(shown, quick)), seen(shown=USUAL, quick=USUAL))
    assert step.expected == step.gates[1].outlook.seconds_to_pass


@pytest.mark.parametrize(
    "gates",
    [
        {"gates": (replace(ERRORS, dry_run=True),)},
        {"gates": (), "reading_gates": (replace(QUALITY, dry_run=True),)},
    ],
)
def test_steps_with_dry_runs_alone_take_all_their_time(gates):
    first, second = ahead(walk(soak(10), soak(50), warm_up=900.0, **gates))
    assert (first.expected, second.expected) == (3600, 3600)
    if first.gates:
        assert (first.warm_up, second.warm_up) == (900, 0)


def test_a_gate_without_statistics_is_waited_for():
    patient = replace(
        QUALITY,
        rules=ReadingRules(
            success_condition="result[0] > 0", interval=timedelta(minutes=10), count=4
        ),
    )
    (step,) = ahead(walk(soak(50), reading_gates=(patient,)))
    assert passes(step) < step.expected == 1800


def test_what_is_not_known_of_a_gate_leaves_the_step_unforeseen():
    other = replace(ERRORS, name="other")
    (step,) = ahead(walk(soak(10), gates=(ERRORS, other)))
    assert (step.gates[0].outlook is None, step.gates[1].outlook) == (False, None)
    assert step.expected is None


def test_a_verdict_on_answers_leaves_the_step_unforeseen():
    made = walk(soak(0, comparison=a_comparison()))
    shadow = replace(made, steps=(SetWeights(candidate=0, mirror=20), made.steps[1]))
    (step,) = ahead(shadow)
    assert passes(step) > 0
    assert step.expected is None


def test_a_margin_counts_all_stays_before_and_a_plain_step_none():
    first, plain, last = ahead(walk(soak(10, margin=4.0), soak(25), soak(50, margin=1.5)))
    assert (first.margin, plain.margin, last.margin) == (4.0, None, 1.5)
    assert (first.proven_before, plain.proven_before) == (0, 0)
    assert last.proven_before == first.expected + plain.expected
    (alone,) = ahead(walk(soak(50, margin=1.5)))
    assert passes(last) < passes(alone)
    (bare,) = ahead(walk(soak(25)))
    assert passes(plain) == passes(bare)


def test_somebody_s_word_adds_no_time_to_what_a_margin_counts():
    waits = soak(10, until=Until.PROMOTED, at_most=timedelta(days=365))
    _, last = ahead(walk(waits, soak(50, margin=1.5)))
    assert last.proven_before == 0


def test_a_warm_up_is_left_to_the_steps_that_it_reaches():
    timed = {"at_least": timedelta(seconds=40), "at_most": timedelta(seconds=40)}
    steps = ahead(walk(soak(5, **timed), soak(10, **timed), soak(50), warm_up=60.0))
    assert [step.warm_up for step in steps] == [60, 20, 0]


def test_a_step_that_no_request_reaches_begins_no_warm_up():
    nobody, first = ahead(walk(soak(0), soak(10), warm_up=60.0))
    assert nobody.gates[0].reason == NOBODY
    assert first.warm_up == 60


def test_nothing_is_said_of_a_preview():
    made = walk(soak(10))
    header = HeaderMatch(name="x", value="1")
    shown = replace(made, steps=(SetWeights(candidate=0, preview=(header,)), made.steps[1]))
    (step,) = ahead(shown)
    assert (step.gates[0].reason, step.expected) == (ONLY_TESTERS, None)


def test_a_shadow_is_told_with_the_percent_that_is_copied():
    made = walk(soak(0))
    shadow = replace(made, steps=(SetWeights(candidate=0, mirror=20), made.steps[1]))
    (step,) = ahead(shadow)
    assert step.weight == 0
    assert step.summary.startswith("With 20 % copied (20 requests/s) errors takes ")


def test_copies_beside_a_weight_are_not_what_is_judged():
    made = walk(soak(10))
    beside = replace(made, steps=(SetWeights(candidate=10, mirror=20), made.steps[1]))
    (step,) = ahead(beside)
    assert step.summary.startswith("At 10 % (10 requests/s) errors takes ")


def test_the_arms_of_a_trial_are_held_to_no_margin():
    made = ab_test()
    margined = tuple(
        replace(step, margin=1.5) if isinstance(step, Soak) else step for step in made.steps
    )
    steps = ahead(replace(made, steps=margined))
    assert {step.variant for step in steps} == {"b", "c"}
    assert {step.margin for step in steps} == {None}


@pytest.mark.parametrize(
    ("per_second", "told"),
    [
        (0.001, "less than 0.001"),
        (0.5, "0.05"),
        (123.4, "12.3"),
        (12_345, "1,234"),
        (50_000_000, "5,000,000"),
    ],
)
def test_a_rate_is_told_in_digits_that_a_person_reads(per_second, told):
    traffic = replace(seen(), requests_per_second=per_second)
    (step,) = ahead(walk(soak(10)), traffic)
    assert step.summary.startswith(f"At 10 % ({told} requests/s) errors ")


def test_a_large_regression_is_told_in_digits_that_a_person_reads():
    rare = BaseRates(per_second=100.0, bad=(1e-6,))
    (step,) = ahead(walk(soak(10)), seen(errors=rare))
    ratio = step.gates[0].outlook.smallest_ratio
    assert ratio > 1000
    assert f"within 1 h {ratio:,.0f} times as many are found" in step.summary


@pytest.mark.parametrize(
    ("made", "alone", "with_others"),
    [
        (walk(soak(10), soak(50)), 2, 2 + 3),
        (walk(soak(10), soak(50), gates=(ERRORS, replace(ERRORS, name="b"))), 4, 2 * (2 + 3)),
        (walk(soak(10, margin=4.0), soak(25), soak(50, margin=1.5)), 5, 5 + 3 * (4 + 1)),
        (walk(*(soak(n, margin=5 - n / 25) for n in range(1, 51))), 1275, 4 * 1275),
        (ab_test(), 2, 2 + 3),
        (walk(soak(10), gates=(), reading_gates=(QUALITY,)), 0, 0),
    ],
)
def test_outlooks_rest_on_a_stay_each_and_on_all_so_far_with_a_margin(made, alone, with_others):
    assert (stays_of(made, 0), stays_of(made, 3)) == (alone, with_others)
