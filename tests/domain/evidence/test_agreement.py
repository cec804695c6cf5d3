"""When a sample of compared answers passes, when it fails, and what is promised about both."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.agreement import Agreement, judge_answers
from domain.verdicts import Status
from tests.comparisons import a_comparison, a_result
from tests.domain.evidence.scenes import unhurried


def results(differing):
    return [a_result(i, differs=differs) for i, differs in enumerate(differing)]


def judged(differing, size=None, **changes):
    return judge_answers(a_comparison(size or len(differing), **changes), results(differing))


@pytest.mark.parametrize(
    ("size", "differing", "limit", "status"),
    [
        (20, [], 0.05, Status.UNDECIDED),
        (20, [False] * 19, 0.05, Status.UNDECIDED),
        (20, [False] * 20, 0.05, Status.PASS),
        (20, [False] * 19 + [True], 0.05, Status.PASS),
        (20, [True], 0.05, Status.UNDECIDED),
        (20, [True, True], 0.05, Status.FAIL),
        (100, [i % 4 == 0 for i in range(100)], 0.29, Status.PASS),
        (100, [i < 29 for i in Random(1).sample(range(100), 100)], 0.29, Status.PASS),
        (200, [False] * 75, 0.05, Status.UNDECIDED),
        (200, [False] * 76, 0.05, Status.PASS),
        (200, [True], 0.05, Status.UNDECIDED),
        (200, [True, True], 0.05, Status.FAIL),
        (1, [True], 0.0, Status.FAIL),
        (1, [False], 0.0, Status.PASS),
    ],
)
def test_a_sample_is_decided_by_evidence_or_at_its_end(size, differing, limit, status):
    assert judged(differing, size, limit=limit).status is status


@settings(unhurried, max_examples=60)
@given(differing=st.lists(st.booleans(), min_size=1, max_size=60), limit=st.floats(0, 0.99))
def test_a_sample_that_is_through_is_decided(differing, limit):
    assert judged(differing, limit=limit).status in {Status.PASS, Status.FAIL}


@settings(unhurried, max_examples=60)
@given(differing=st.lists(st.booleans(), min_size=2, max_size=60), limit=st.floats(0.01, 0.5))
def test_the_first_decision_stands(differing, limit):
    fold = Agreement(a_comparison(len(differing), limit=limit))
    told = []
    for result in results(differing):
        fold.add(result)
        told.append(fold.verdict({}))
    decided = [one for one in told if one.status is not Status.UNDECIDED]
    assert len(set(decided)) == 1
    assert told[-1] == judge_answers(
        a_comparison(len(differing), limit=limit), results(differing)
    ), "a fold over what is stored says the same"


@pytest.mark.parametrize(("fraction", "wrong"), [(0.05, Status.FAIL), (0.3, Status.PASS)])
def test_early_verdicts_are_seldom_false(fraction, wrong):
    """At the limit itself, early FAILs; far above it, PASSes of any kind."""
    rng, lives, false = Random(7), 400, 0
    for _ in range(lives):
        fold = Agreement(a_comparison(200, limit=0.05))
        for i in range(200):
            fold.add(a_result(i, differs=rng.random() < fraction))
        verdict = fold.verdict({})
        is_early = "Evidence" in verdict.reason or wrong is Status.PASS
        false += verdict.status is wrong and is_early
    assert false / lives <= 0.05


def test_the_reason_names_an_example():
    verdict = judged([False, True, True], 20)
    assert verdict.gate == "answers"
    assert verdict.reason == (
        "2 of 3 answers differ, such as request 1: 1 is 1 and 0. "
        "That is more than 5 % of the 20 in the sample."
    )


def test_what_stands_in_the_way_is_told():
    fold = Agreement(a_comparison(2))
    fold.add(a_result(0))
    verdict = fold.verdict({1: "stable broke off"})
    assert verdict.status is Status.UNDECIDED
    assert verdict.reason == (
        "None of 1 answer differs. 1 of 2 are still to be compared. "
        "Request 1 says nothing yet: stable broke off."
    )


def test_the_numbers_of_a_verdict_are_the_counts():
    verdict = judged([True, False, False], 60, limit=0.2)
    assert (verdict.samples.candidate_bad, verdict.samples.candidate_requests) == (1, 3)
    assert verdict.evidence.fail_needed == verdict.evidence.pass_needed == 20
    assert 0 < verdict.evidence.fail < 20


def test_what_comes_after_the_decision_changes_nothing():
    fold = Agreement(a_comparison(3, limit=0.0))
    fold.add(a_result(0, differs=True))
    decided = fold.verdict({})
    fold.add(replace(a_result(1, differs=True), difference="another"))
    assert (decided.status, fold.verdict({})) == (Status.FAIL, decided)
