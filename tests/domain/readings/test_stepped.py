"""Readings over a whole rollout: PASS anew at each step, FAIL for good."""

from datetime import timedelta

import pytest

from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import SteppedJudge
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON

MINUTE = timedelta(minutes=1)


def rules(**given):
    return ReadingRules(**{"success_condition": "result[0] > 0", "interval": MINUTE, **given})


def fed(judge, step, *values, since=0):
    for minute, value in enumerate(values, start=since):
        judge.add(step, Reading(at=NOON + minute * MINUTE, series=(value,)))
    return judge.verdict(step).status


def test_a_pass_is_earned_anew_at_each_step():
    judge = SteppedJudge("quality", rules(count=2))
    assert fed(judge, 2, 1.0, 1.0) is Status.PASS
    assert judge.due_at(2, NOON) is None
    assert judge.verdict(4).status is Status.UNDECIDED
    assert judge.due_at(4, NOON + 9 * MINUTE) == NOON + 9 * MINUTE
    assert fed(judge, 4, 1.0, 1.0, since=9) is Status.PASS


def test_limits_count_the_readings_of_one_step():
    judge = SteppedJudge("quality", rules(failure_limit=1))
    assert fed(judge, 2, -1.0, 1.0) is Status.PASS
    assert fed(judge, 4, -1.0, 1.0, since=2) is Status.PASS
    assert fed(judge, 4, -1.0, since=4) is Status.FAIL


def test_a_fail_is_for_good_at_later_steps_and_needs_no_more_readings():
    judge = SteppedJudge("quality", rules())
    assert fed(judge, 2, -1.0) is Status.FAIL
    reason = judge.verdict(2).reason
    assert fed(judge, 4, 1.0, 1.0, since=1) is Status.FAIL
    assert judge.verdict(4).reason == reason
    assert judge.due_at(4, NOON) is None


def test_a_reading_before_the_last_one_is_refused_even_at_another_step():
    judge = SteppedJudge("quality", rules())
    fed(judge, 2, 1.0)
    with pytest.raises(ValueError, match="came after"):
        judge.add(4, Reading(at=NOON, series=(1.0,)))


def test_an_initial_delay_counts_from_the_beginning_of_each_step():
    judge = SteppedJudge("quality", rules(initial_delay=5 * MINUTE))
    assert judge.due_at(2, NOON) == NOON + 5 * MINUTE
    fed(judge, 2, 1.0, since=5)
    assert judge.due_at(2, NOON) == NOON + 6 * MINUTE
    assert judge.due_at(4, NOON + 20 * MINUTE) == NOON + 25 * MINUTE


def test_a_verdict_says_which_reading_has_made_its_status_what_it_is():
    judge, looks = SteppedJudge("quality", rules(failure_limit=None)), []
    assert judge.verdict(2).look is None
    for minute, value in enumerate((1.0, 1.0, -1.0, -1.0, 1.0)):
        fed(judge, 2, value, since=minute)
        looks.append(judge.verdict(2).look)
    assert looks == [1, 1, 3, 3, 5]
    assert judge.verdict(4).look is None
    assert fed(judge, 4, 1.0, since=5) is Status.PASS
    assert judge.verdict(4).look == 6


def test_a_fail_keeps_the_reading_with_which_it_came():
    judge = SteppedJudge("quality", rules())
    assert fed(judge, 2, 1.0, -1.0, 1.0) is Status.FAIL
    assert judge.verdict(2).look == judge.verdict(4).look == 2
