"""A gate without statistics reads the past when a watch would have, and says what that would."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.evidence.replaying import Stretch
from domain.reading_gates import PromQuery, ReadingGate
from domain.readings.replaying import ReadingReplay, readings_within
from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import SteppedJudge
from domain.verdicts import Status

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FAST = "result[0] < 0.5"


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def stretch(since, until, *, step=2, weight=10):
    return Stretch(step=step, weight=weight, since=after(since), until=after(until))


def rules(interval=60, **changes):
    pause = None if interval is None else timedelta(seconds=interval)
    return ReadingRules(success_condition=FAST, interval=pause, **changes)


def replay(asked, *stretches, kept_from=NOON):
    gate = ReadingGate(name="quality", question=PromQuery(query="q"), rules=asked)
    return ReadingReplay(gate, stretches, kept_from)


def run(one, answer, most=1):
    """Ask as often as something is due, some moments ahead; tells when was asked."""
    asked = []
    while ahead := one.due(most):
        for _, at in ahead:
            asked.append(at)
            if one.is_due(at):
                one.add(answer(at))
    return asked


def good(at):
    return Reading(at=at, series=(0.1,))


def bad_from(seconds):
    return lambda at: Reading(at=at, series=(0.9 if at >= after(seconds) else 0.1,))


@pytest.mark.parametrize("most", [1, 4])
def test_it_reads_at_the_beginning_of_each_step_and_then_by_its_interval(most):
    one = replay(rules(), stretch(0, 150), stretch(200, 290, step=4))
    asked = run(one, good, most)
    assert asked == [after(s) for s in (0, 60, 120, 200, 260)]
    assert one.readings == 5


def test_a_delay_is_waited_for_anew_at_each_step():
    delayed = rules(initial_delay=timedelta(seconds=30))
    one = replay(delayed, stretch(0, 60), stretch(200, 240, step=4))
    assert run(one, good) == [after(30), after(230)]


def test_two_stretches_of_one_step_go_on_by_the_same_interval():
    one = replay(rules(), stretch(0, 90), stretch(100, 130, weight=20))
    assert run(one, good) == [after(0), after(60), after(120)]


def test_a_failure_says_when_at_which_weight_and_ends_the_readings():
    one = replay(rules(), stretch(0, 150), stretch(200, 500, step=4, weight=50))
    asked = run(one, bad_from(300), most=4)
    found = one.result()
    assert (found.first_fail.at, found.first_fail.seconds) == (after(320), 320)
    assert (found.first_fail.step, found.first_fail.weight) == (4, 50)
    assert (found.first_pass.at, found.first_pass.step) == (after(0), 2)
    assert found.verdict == found.first_fail.verdict
    assert one.readings == 6
    assert len(asked) < 10  # what was asked ahead is thrown away, and no more is asked


def test_the_verdict_is_that_of_the_same_readings_taken_live():
    live = SteppedJudge("quality", rules(failure_limit=1))
    one = replay(rules(failure_limit=1), stretch(0, 600))
    for at in run(one, bad_from(540)):
        live.add(2, bad_from(540)(at))
    assert one.result().verdict == live.verdict(2)


def test_enough_readings_are_enough():
    one = replay(rules(count=3), stretch(0, 600))
    asked = run(one, good)
    assert len(asked) == 3
    assert one.result().first_pass.at == after(120)


def test_a_pass_is_earned_anew_at_each_step():
    one = replay(rules(count=3), stretch(0, 600), stretch(700, 760, step=4))
    run(one, good)
    assert one.result().first_pass.step == 2
    assert one.result().verdict.status is Status.UNDECIDED


def test_without_an_interval_one_conclusive_reading_is_taken_and_an_error_again_soon():
    one = replay(rules(interval=None), stretch(0, 600))
    asked = run(one, lambda at: good(at) if at >= after(20) else Reading(at=at, error="away"))
    assert asked == [after(0), after(10), after(20)]
    assert one.result().verdict.status is Status.PASS


def test_nothing_is_read_from_before_what_the_store_knows():
    one = replay(rules(), stretch(0, 150), stretch(200, 290, step=4), kept_from=after(230))
    assert run(one, good) == [after(230), after(290)]
    assert one.missing == (
        "Nothing is kept any more of what could be read before 2026-11-22 12:03:50 UTC.",
    )


def test_where_nothing_is_kept_nothing_is_read_and_the_gate_is_unavailable():
    one = replay(rules(), stretch(0, 150), kept_from=None)
    assert run(one, good) == []
    found = one.result()
    assert (found.verdict.status, found.first_pass) == (Status.UNAVAILABLE, None)
    assert "from 2026-11-22 12:00:00 UTC to 2026-11-22 12:02:30 UTC" in found.verdict.reason
    assert one.missing == (found.verdict.reason,)


def test_stretches_that_meet_have_no_two_readings_at_one_moment():
    one = replay(rules(), stretch(0, 60), stretch(60, 100, step=4))
    asked = run(one, good)
    assert len(asked) == len(set(asked)) == 3
    assert asked == sorted(asked)


def test_a_reading_of_another_moment_is_refused():
    one = replay(rules(), stretch(0, 60))
    with pytest.raises(ValueError, match="no reading was due"):
        one.add(good(after(1)))


@pytest.mark.parametrize(
    "asked",
    [
        rules(),
        rules(interval=7),
        rules(count=3),
        rules(interval=None),
        rules(initial_delay=timedelta(seconds=30)),
        rules(initial_delay=timedelta(hours=1)),
    ],
)
def test_as_many_are_expected_as_are_taken_at_most(asked):
    stretches = (stretch(0, 150), stretch(160, 200, weight=20), stretch(200, 290, step=4))
    one = replay(asked, *stretches)
    run(one, good)
    expected = readings_within(asked, stretches)
    assert one.readings <= expected <= one.readings + 2
