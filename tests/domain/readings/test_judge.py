"""Readings and their verdicts: each limit at its edge, and nothing promoted blind."""

import json
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.conditions.tokens import ConditionError
from domain.readings.judge import AGAIN_AFTER, ReadingJudge, judge_readings
from domain.readings.outcomes import Conditions, Outcome
from domain.readings.rules import Reading, ReadingRules, reading_violations
from domain.verdicts import Status
from tests.domain.conditions.trees import ANSWERS, NOTHING_KNOWN
from tests.domain.evidence.scenes import NOON, unhurried

NAN, INF = math.nan, math.inf
MINUTE = timedelta(minutes=1)
SUCCESS, FAILURE = "result[0] >= 0.95", "result[0] < 0.9"
S, F, I, E = Outcome.SUCCESS, Outcome.FAILURE, Outcome.INCONCLUSIVE, Outcome.ERROR  # noqa: E741 - one letter a reading
# A reading of each outcome, by the letter that stands for it.
LETTERS = {"S": (0.99,), "F": (0.5,), "I": (NAN,)}


def reading(minute, letter):
    at = NOON + minute * MINUTE
    if letter == "E":
        return Reading(at=at, error="connection refused")
    return Reading(at=at, series=LETTERS[letter])


def readings(letters):
    return [reading(minute, letter) for minute, letter in enumerate(letters)]


def rules(**given):
    return ReadingRules(**{"success_condition": SUCCESS, "interval": MINUTE, **given})


def status(letters, **given):
    return judge_readings("quality", rules(**given), readings(letters)).status


@pytest.mark.parametrize(
    ("series", "success", "failure", "both"),
    [
        ((0.99,), S, S, S),
        ((0.95,), S, S, S),
        ((0.92,), F, S, I),
        ((0.5,), F, F, F),
        ((NAN,), I, I, I),
        ((INF,), I, I, I),
        ((), I, I, I),
        ((0.99, 0.96), S, S, S),
        ((0.99, 0.92), F, S, I),
        ((0.99, 0.5), F, F, F),
        ((0.99, NAN), I, I, I),
        ((0.5, NAN), F, F, F),
        ((0.92, NAN), F, I, I),
    ],
)
def test_what_a_reading_says_is_what_its_worst_series_says(series, success, failure, both):
    asked = (
        ReadingRules(success_condition=SUCCESS),
        ReadingRules(failure_condition=FAILURE),
        ReadingRules(success_condition=SUCCESS, failure_condition=FAILURE),
    )
    said = [Conditions.of(one).outcome(Reading(at=NOON, series=series)) for one in asked]

    assert said == [success, failure, both]


def test_a_reading_that_is_both_has_failed():
    both = ReadingRules(success_condition="result[0] > 0", failure_condition="result[0] > 1")

    assert Conditions.of(both).outcome(Reading(at=NOON, series=(2.0,))) is F


def test_an_error_is_no_failure_whatever_is_asked_of_an_empty_answer():
    asked = Conditions.of(ReadingRules(failure_condition="len(result) == 0"))

    assert asked.outcome(Reading(at=NOON)) is F
    assert asked.outcome(Reading(at=NOON, error="timed out")) is E


@pytest.mark.parametrize(
    ("given", "letters", "expected"),
    [
        ({}, "", Status.UNDECIDED),
        # Without an interval one conclusive reading decides.
        ({"interval": None}, "S", Status.PASS),
        ({"interval": None}, "F", Status.FAIL),
        ({"interval": None}, "I", Status.UNDECIDED),
        ({"interval": None}, "IES", Status.PASS),
        ({"interval": None}, "SF", Status.PASS),
        # Without a count the latest reading decides, and nothing is for good but FAIL.
        ({}, "S", Status.PASS),
        ({}, "SI", Status.UNDECIDED),
        ({}, "SE", Status.UNDECIDED),
        ({}, "SIES", Status.PASS),
        ({}, "SF", Status.FAIL),
        ({}, "SFS", Status.FAIL),
        ({"failure_limit": 1}, "SF", Status.UNDECIDED),
        ({"failure_limit": 1}, "SFS", Status.PASS),
        # A count is of conclusive readings.
        ({"count": 3}, "SS", Status.UNDECIDED),
        ({"count": 3}, "SSS", Status.PASS),
        ({"count": 3}, "SIESI", Status.UNDECIDED),
        ({"count": 3}, "SIESIS", Status.PASS),
        ({"count": 3}, "IIIIII", Status.UNDECIDED),
        ({"count": 3}, "SSF", Status.FAIL),
        ({"count": 3, "failure_limit": 1}, "SSF", Status.PASS),
        ({"count": 3}, "SSSF", Status.PASS),
        # failure_limit is what is tolerated, in all.
        ({"failure_limit": 0}, "F", Status.FAIL),
        ({"failure_limit": 2}, "FSF", Status.UNDECIDED),
        ({"failure_limit": 2}, "FSFSF", Status.FAIL),
        ({"failure_limit": 2}, "FIFEF", Status.FAIL),
        # In a row: nothing but a success ends a run of failures.
        ({"failure_limit": None, "consecutive_failure_limit": 1}, "FSFSF", Status.UNDECIDED),
        ({"failure_limit": None, "consecutive_failure_limit": 1}, "FSFF", Status.FAIL),
        ({"failure_limit": None, "consecutive_failure_limit": 1}, "FIF", Status.FAIL),
        ({"failure_limit": None, "consecutive_failure_limit": 1}, "FEF", Status.FAIL),
        ({"failure_limit": 3, "consecutive_failure_limit": 2}, "FSFSFSF", Status.FAIL),
        # Everything else ends a run of successes.
        ({"consecutive_success_limit": 3}, "SS", Status.UNDECIDED),
        ({"consecutive_success_limit": 3}, "SSS", Status.PASS),
        ({"consecutive_success_limit": 3}, "SSISS", Status.UNDECIDED),
        ({"consecutive_success_limit": 3}, "SSESS", Status.UNDECIDED),
        ({"consecutive_success_limit": 3, "failure_limit": 9}, "SSFSS", Status.UNDECIDED),
        ({"consecutive_success_limit": 3, "failure_limit": 9}, "SSFSSS", Status.PASS),
        ({"consecutive_success_limit": 3, "failure_limit": None}, "FFFFFSSS", Status.PASS),
        ({"consecutive_success_limit": 2}, "SSF", Status.PASS),
        # With both, the count ends what has not passed.
        ({"consecutive_success_limit": 2, "count": 3}, "SS", Status.PASS),
        ({"consecutive_success_limit": 2, "count": 3}, "SISIS", Status.UNDECIDED),
        ({"consecutive_success_limit": 2, "count": 3}, "SISISSS", Status.UNDECIDED),
        # Errors are no failures, and an outage that is over counts no more.
        ({"consecutive_error_limit": 2}, "EE", Status.UNDECIDED),
        ({"consecutive_error_limit": 2}, "EEE", Status.UNAVAILABLE),
        ({"consecutive_error_limit": 2}, "SEEE", Status.UNAVAILABLE),
        ({"consecutive_error_limit": 2}, "EEIEE", Status.UNDECIDED),
        ({"consecutive_error_limit": 2}, "EEEEES", Status.PASS),
        ({"consecutive_error_limit": 0}, "SE", Status.UNAVAILABLE),
        ({}, "EEEE", Status.UNDECIDED),
        ({}, "EEEEE", Status.UNAVAILABLE),
        ({}, "FEEEEE", Status.FAIL),
        ({}, "EEEEEF", Status.FAIL),
        # Too many that say nothing bar a PASS, and no FAIL.
        ({"inconclusive_limit": 1}, "IS", Status.PASS),
        ({"inconclusive_limit": 1}, "IISSS", Status.UNDECIDED),
        ({"inconclusive_limit": 1}, "IISF", Status.FAIL),
        ({"inconclusive_limit": 1, "count": 2}, "IISS", Status.UNDECIDED),
        ({"inconclusive_limit": 1, "consecutive_success_limit": 2}, "IISS", Status.UNDECIDED),
        ({"inconclusive_limit": 0}, "IEEEEE", Status.UNAVAILABLE),
        ({}, "IIIIIIS", Status.PASS),
        # Rules that would be refused pass nothing blind either.
        ({"count": 2, "failure_limit": None}, "FF", Status.UNDECIDED),
        ({"success_condition": ""}, "SFS", Status.UNDECIDED),
    ],
)
def test_a_verdict_follows_from_the_readings(given, letters, expected):
    assert status(letters, **given) is expected


@pytest.mark.parametrize(
    ("given", "letters", "said"),
    [
        (
            {"count": 3, "failure_limit": 1},
            "SFIES",
            (
                "Of 5 readings, 2 succeeded, 1 failed, 1 was inconclusive, 1 was an error. "
                "The latest, at 2026-03-01 12:04:00 UTC, succeeded: 0.99. "
                'A reading succeeds where "result[0] >= 0.95", and fails where that is false. '
                "3 conclusive readings, as asked for, within the limits."
            ),
        ),
        (
            {"failure_limit": 1},
            "FF",
            (
                "Of 2 readings, 2 failed. The latest, at 2026-03-01 12:01:00 UTC, failed: 0.5. "
                'A reading succeeds where "result[0] >= 0.95", and fails where that is false. '
                "2 failures: failure_limit is 1."
            ),
        ),
        (
            {"failure_condition": FAILURE, "consecutive_error_limit": 1},
            "EE",
            (
                "Of 2 readings, 2 were errors. "
                "The latest, at 2026-03-01 12:01:00 UTC, was an error: connection refused. "
                'A reading succeeds where "result[0] >= 0.95", and fails where "result[0] < 0.9". '
                "2 errors in a row: consecutive_error_limit is 1. Nothing is concluded from them."
            ),
        ),
        (
            {"success_condition": "", "failure_condition": FAILURE, "inconclusive_limit": 1},
            "II",
            (
                "Of 2 readings, 2 were inconclusive. "
                "The latest, at 2026-03-01 12:01:00 UTC, was inconclusive: NaN. "
                'A reading fails where "result[0] < 0.9", and succeeds where that is false. '
                "2 inconclusive readings: inconclusive_limit is 1, so the gate cannot pass any more."
            ),
        ),
    ],
)  # fmt: skip
def test_a_reason_says_what_was_seen_what_was_asked_and_what_follows(given, letters, said):
    assert judge_readings("quality", rules(**given), readings(letters)).reason == said


@pytest.mark.parametrize(
    ("given", "letters", "follows"),
    [
        ({}, "", "No reading has been taken yet."),
        ({}, "S", "The limits hold, and the latest reading succeeded."),
        ({}, "I", "The next reading must succeed."),
        ({"interval": None}, "I", "1 more conclusive reading is needed."),
        ({"count": 3}, "S", "2 more conclusive readings are needed."),
        ({"consecutive_success_limit": 3}, "S", "2 more successes in a row are needed."),
        ({"consecutive_success_limit": 3}, "SS", "1 more success in a row is needed."),
        ({"consecutive_success_limit": 3}, "SSS", "3 successes in a row, as asked for."),
        (
            {"consecutive_success_limit": 2, "count": 3},
            "SISIS",
            "3 conclusive readings and no more are taken, without 2 successes in a row.",
        ),
        (
            {"failure_limit": None, "consecutive_failure_limit": 1},
            "FF",
            "2 failures in a row: consecutive_failure_limit is 1.",
        ),
        ({"interval": None}, "F", "1 failure: failure_limit is 0."),
    ],
)
def test_a_reason_ends_with_what_follows(given, letters, follows):
    assert judge_readings("quality", rules(**given), readings(letters)).reason.endswith(follows)


@pytest.mark.parametrize(
    ("series", "told"),
    [
        ((), "no series"),
        ((0.9499999999999,), "0.9499999999999"),
        ((-INF,), "-Inf"),
        ((INF,), "+Inf"),
        ((2.0, 0.5, 1.0), "3 series from 0.5 to 2.0"),
        ((2.0, NAN, INF), "3 series from 2.0 to 2.0, 2 of them NaN or infinite"),
        ((0.0, -0.0), "2 series from 0.0 to 0.0"),
        ((-0.0, 0.0), "2 series from 0.0 to 0.0"),
        ((NAN, NAN), "2 series, 2 of them NaN or infinite"),
    ],
)
def test_a_reason_tells_the_values_in_full(series, told):
    verdict = judge_readings("quality", rules(), [Reading(at=NOON, series=series)])

    assert f"{told}." in verdict.reason


def test_a_verdict_is_of_its_gate():
    assert judge_readings("quality", rules(), []).gate == "quality"
    assert judge_readings("quality", rules(), readings("S")).gate == "quality"


@pytest.mark.parametrize(
    ("given", "letters", "due"),
    [
        ({"initial_delay": 5 * MINUTE}, "", NOON + 5 * MINUTE),
        ({}, "", NOON),
        ({}, "S", NOON + MINUTE),
        ({"interval": 3 * MINUTE}, "SE", NOON + 4 * MINUTE),
        ({"interval": None}, "S", None),
        ({"interval": None}, "E", NOON + AGAIN_AFTER),
        ({"interval": None}, "I", NOON + AGAIN_AFTER),
        ({"count": 2}, "SI", NOON + 2 * MINUTE),
        ({"count": 2}, "SIS", None),
        ({}, "F", None),
        ({"inconclusive_limit": 0}, "I", NOON + MINUTE),
    ],
)
def test_the_next_reading_is_due_until_the_verdict_is_for_good(given, letters, due):
    judge = ReadingJudge("quality", rules(**given))
    for one in readings(letters):
        judge.add(one)

    assert judge.due_at(NOON) == due
    assert judge.is_settled is (due is None)


@pytest.mark.parametrize("letters", ["SS", "FF"])
def test_a_reading_that_is_not_after_the_last_one_is_refused(letters):
    judge = ReadingJudge("quality", rules())
    one, _ = readings(letters)
    judge.add(one)

    with pytest.raises(ValueError, match="came after that of"):
        judge.add(one)


def test_rules_without_a_condition_that_can_be_read_are_refused():
    with pytest.raises(ConditionError):
        ReadingJudge("quality", rules(success_condition="result[0"))


limits = st.none() | st.integers(0, 3)
any_rules = st.builds(
    ReadingRules,
    success_condition=st.sampled_from(["", SUCCESS, "all(result, {# > 0})"]),
    failure_condition=st.sampled_from(["", FAILURE, "max(result) > 5"]),
    interval=st.sampled_from([None, MINUTE]),
    count=st.none() | st.integers(1, 5),
    failure_limit=limits,
    consecutive_failure_limit=limits,
    consecutive_success_limit=st.none() | st.integers(1, 3),
    consecutive_error_limit=st.integers(0, 3),
    inconclusive_limit=limits,
)
usual = st.lists(st.sampled_from([0.99, 0.92, 0.5, 7.0]), min_size=1, max_size=3)


def _taken(answers):
    """Readings, minute by minute; None is an error."""
    return st.lists(answers, max_size=10).map(
        lambda taken: [
            Reading(at=NOON + i * MINUTE, error="timed out")
            if one is None
            else Reading(at=NOON + i * MINUTE, series=tuple(one))
            for i, one in enumerate(taken)
        ]
    )


taken = _taken(usual | ANSWERS | st.none())


@settings(unhurried, max_examples=300)
@given(any_rules, taken)
def test_the_same_readings_give_the_same_verdict_however_they_are_fed(rules, taken):
    fed = ReadingJudge("quality", rules)
    for i, one in enumerate(taken):
        fed.add(one)
        assert fed.verdict() == judge_readings("quality", rules, taken[: i + 1])


@settings(unhurried, max_examples=300)
@given(any_rules, taken, taken)
def test_what_is_for_good_stays(rules, first, then):
    judge = ReadingJudge("quality", rules)
    for one in first:
        judge.add(one)
    settled, before = judge.is_settled, judge.verdict()
    for i, one in enumerate(then, len(first)):
        judge.add(Reading(at=NOON + i * MINUTE, series=one.series, error=one.error))

    assert not settled or judge.verdict() == before
    assert before.status is not Status.FAIL or settled


@settings(unhurried, max_examples=300)
@given(any_rules, _taken(NOTHING_KNOWN | st.none()))
def test_readings_that_hold_no_number_neither_pass_nor_fail(rules, taken):
    verdict = judge_readings("quality", rules, taken)

    assert verdict.status in (Status.UNDECIDED, Status.UNAVAILABLE)


@settings(unhurried, max_examples=300)
@given(any_rules, taken)
def test_a_pass_had_a_success_and_a_fail_a_failure(rules, taken):
    conditions = Conditions.of(rules)
    outcomes = {conditions.outcome(one) for one in taken}
    verdict = judge_readings("quality", rules, taken)

    assert verdict.status is not Status.PASS or S in outcomes
    assert verdict.status is not Status.FAIL or F in outcomes


@settings(unhurried, max_examples=200)
@given(any_rules, taken, st.randoms(use_true_random=False))
def test_the_order_of_series_changes_no_word(rules, taken, random):
    shuffled = [
        Reading(
            at=one.at, series=tuple(random.sample(one.series, len(one.series))), error=one.error
        )
        for one in taken
    ]

    assert judge_readings("quality", rules, shuffled) == judge_readings("quality", rules, taken)


@settings(unhurried, max_examples=100)
@given(any_rules, taken)
def test_readings_that_were_stored_as_text_give_the_same_verdict(rules, taken):
    stored = json.dumps([asdict(one) for one in taken], default=datetime.isoformat)
    read = [
        Reading(
            at=datetime.fromisoformat(one["at"]).astimezone(UTC),
            series=tuple(one["series"]),
            error=one["error"],
        )
        for one in json.loads(stored)
    ]

    assert judge_readings("quality", rules, read) == judge_readings("quality", rules, taken)


@settings(unhurried, max_examples=200)
@given(any_rules)
def test_rules_that_are_accepted_can_pass_and_can_fail(drawn):
    rules = replace(drawn, success_condition=SUCCESS, failure_condition="")
    assume(not list(reading_violations("gates.0", rules)))
    fails = rules.failure_limit is not None or rules.consecutive_failure_limit is not None

    assert judge_readings("quality", rules, readings("S" * 9)).status is Status.PASS
    failed = judge_readings("quality", rules, readings("F" * 9)).status
    assert failed is (Status.FAIL if fails else Status.UNDECIDED)


@pytest.mark.parametrize(
    "given",
    [
        {"interval": None},
        {"interval": None, "initial_delay": 3 * MINUTE},
        {},
        {"count": 5},
        {"count": 5, "initial_delay": 3 * MINUTE},
        {"count": 5, "consecutive_success_limit": 2},
        {"consecutive_success_limit": 4, "initial_delay": MINUTE},
    ],
)
def test_the_earliest_pass_is_when_every_reading_succeeds(given):
    asked = rules(**given)
    judge, taken = ReadingJudge("quality", asked), []
    while judge.verdict().status is not Status.PASS:
        due = judge.due_at(NOON)
        assert due is not None
        judge.add(Reading(at=due, series=LETTERS["S"]))
        taken.append(due)
    assert (taken[-1] - NOON, len(taken)) == (asked.earliest_pass, asked.fewest)
