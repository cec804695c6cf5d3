"""How the end of a rollout is judged from the answers that clients got."""

from datetime import timedelta

import pytest

from sandbox.demo.judgement import (
    Account,
    Ended,
    Servers,
    Tally,
    account,
    after_the_end,
    broken_expectations,
)
from sandbox.demo.specs import TRIALS
from sandbox.load import GATEWAY, Outcome

SERVERS = Servers(stable="chat-v1", candidate="chat-v2")
HEALTHY, FAILING, SLOW = TRIALS
LEAST = 450


def test_the_demo_tries_one_good_version_and_two_bad_ones():
    assert [(one.version, one.ending, one.gate) for one in TRIALS] == [
        ("v2", "promoted", None),
        ("v3-errors", "rolled_back", "errors"),
        ("v4-slow", "rolled_back", "latency"),
    ]


@pytest.mark.parametrize(
    ("trial", "phase", "gates", "after"),
    [
        (HEALTHY, "promoted", (), {"chat-v2": 900}),
        (FAILING, "rolled_back", ("errors",), {"chat-v1": 900}),
        (FAILING, "rolled_back", ("latency", "errors"), {"chat-v1": 900}),
        (SLOW, "rolled_back", ("latency",), {"chat-v1": LEAST}),
    ],
)
def test_an_end_as_it_must_be_breaks_no_expectation(trial, phase, gates, after):
    assert broken(trial, phase, gates, after) == []


@pytest.mark.parametrize(
    ("trial", "phase", "gates", "after", "sentence"),
    [
        (
            HEALTHY,
            "promoted",
            (),
            {"chat-v1": 9, "chat-v2": 891},
            "all 900 answers after the end had to come from chat-v2; 9 from chat-v1",
        ),
        (
            FAILING,
            "rolled_back",
            ("errors",),
            {"chat-v1": 899, "chat-v2": 1},
            "all 900 answers after the end had to come from chat-v1; 1 from chat-v2",
        ),
        (
            SLOW,
            "rolled_back",
            ("latency",),
            {"chat-v1": 898, GATEWAY: 2},
            "all 900 answers after the end had to come from chat-v1; 2 from (gateway)",
        ),
        (
            HEALTHY,
            "promoted",
            (),
            {"chat-v2": 12},
            "only 12 answers came after the end; 450 are needed to judge by",
        ),
        (
            HEALTHY,
            "rolled_back",
            ("errors",),
            {"chat-v2": 900},
            "v2 had to be promoted, but is rolled back (as it goes)",
        ),
        (
            SLOW,
            "promoted",
            (),
            {"chat-v1": 900},
            "v4-slow had to be rolled back, but is promoted (as it goes)",
        ),
        (
            SLOW,
            "progressing",
            (),
            {"chat-v1": 900},
            "v4-slow had to be rolled back, but is progressing (as it goes)",
        ),
        (
            SLOW,
            "rolled_back",
            (),
            {"chat-v1": 900},
            "the latency gate had to fail v4-slow; failed: none",
        ),
    ],
)
def test_each_broken_expectation_is_a_sentence_with_its_numbers(
    trial, phase, gates, after, sentence
):
    assert broken(trial, phase, gates, after) == [sentence]


@pytest.mark.parametrize(
    ("trial", "phase", "gates", "server", "sentence"),
    [
        (
            FAILING,
            "rolled_back",
            ("errors",),
            "chat-v1",
            "failed requests that v3-errors itself did not fail: 1, must be 0",
        ),
        (
            HEALTHY,
            "promoted",
            (),
            "chat-v2",
            "failed requests that v2 has no fault to explain: 1, must be 0",
        ),
    ],
)
def test_one_failure_that_is_not_the_bad_versions_own_is_one_too_many(
    trial, phase, gates, server, sentence
):
    sums = Account(candidate=Tally(), own_failures=30, other_failures=1, bad_for=None)

    assert broken(trial, phase, gates, {server: 900}, sums) == [sentence]


def test_no_answers_at_all_are_no_proof():
    assert broken(FAILING, "rolled_back", ("errors",), {}) == [
        "only 0 answers came after the end; 450 are needed to judge by"
    ]


def test_who_answered_is_told_with_those_who_did_not():
    ended = an_end(HEALTHY, "promoted", (), {"chat-v2": 900})

    assert after_the_end(ended) == (
        "900 answers to requests sent after the end: 900 from chat-v2, none from chat-v1; 0 failed"
    )


def test_the_bad_version_may_fail_its_own_requests_and_no_others():
    outcomes = [
        answer(0.0),
        answer(0.1, status=503),
        answer(0.2, variant="chat-v2", status=500),
        answer(0.3, variant="chat-v2"),
        answer(0.4, variant=GATEWAY, status=0),
    ]

    sums = account(outcomes, SERVERS, FAILING)

    assert sums.candidate == Tally(served=2, failed=1, slow=0)
    assert (sums.own_failures, sums.other_failures) == (1, 2)


def test_an_answer_that_was_broken_off_is_never_the_versions_own_failure():
    sums = account([answer(0.0, variant="chat-v2", status=0)], SERVERS, FAILING)

    assert (sums.own_failures, sums.other_failures) == (0, 1)


@pytest.mark.parametrize("trial", [HEALTHY, SLOW])
def test_a_version_without_a_fault_of_that_kind_may_fail_nothing(trial):
    sums = account([answer(0.0, variant="chat-v2", status=500)], SERVERS, trial)

    assert (sums.own_failures, sums.other_failures) == (0, 1)


def test_a_failing_version_was_bad_from_its_first_failure_to_its_last_answer():
    outcomes = [
        answer(0.0, variant="chat-v2"),
        answer(1.0, variant="chat-v2", status=500),
        answer(2.0, variant="chat-v2", status=500),
        answer(3.0, variant="chat-v2"),
        answer(9.0),
    ]

    assert account(outcomes, SERVERS, FAILING).bad_for == timedelta(seconds=2)


def test_a_slow_version_was_bad_from_its_first_slow_answer():
    outcomes = [
        answer(0.0, variant="chat-v2"),
        answer(1.0, variant="chat-v2", seconds=0.5),
        answer(2.0, variant="chat-v2", seconds=0.5),
        answer(3.0, seconds=0.5),
    ]

    sums = account(outcomes, SERVERS, SLOW)

    assert sums.candidate == Tally(served=3, failed=0, slow=2)
    assert sums.bad_for == timedelta(seconds=1)


def test_a_promoted_version_was_not_bad_for_any_time():
    assert account([answer(1.0, variant="chat-v2", seconds=0.5)], SERVERS, HEALTHY).bad_for is None


def answer(sent_at, *, variant="chat-v1", status=200, seconds=0.05):
    return Outcome(sent_at=sent_at, seconds=seconds, variant=variant, status=status)


def an_end(trial, phase, gates, after):
    return Ended(
        trial=trial,
        servers=SERVERS,
        phase=phase,
        reason="as it goes",
        took=timedelta(seconds=30),
        failed_gates=gates,
        after={name: Tally(served=count) for name, count in after.items()},
    )


def broken(trial, phase, gates, after, sums=None):
    fine = Account(candidate=Tally(), own_failures=0, other_failures=0, bad_for=None)
    return broken_expectations(an_end(trial, phase, gates, after), sums or fine, least=LEAST)
