"""The chart of readings: each point is the verdict of its moment, and what matters stays."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reading_gates import PromQuery, ReadingGate
from domain.readings.drawing import ReadingDrawing, reading_drawings
from domain.readings.outcomes import Outcome
from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import KeptReading, SteppedJudge
from domain.verdicts import Status
from tests.domain.evidence.scenes import NOON
from tests.plans import plan

MINUTE = timedelta(minutes=1)
GOOD, BAD, ODD = (1.0,), (-1.0,), (math.nan,)
PASS, FAIL, UNDECIDED = Status.PASS, Status.FAIL, Status.UNDECIDED


def gate(name="quality", **given):
    rules = {"success_condition": "result[0] > 0", "interval": MINUTE, **given}
    return ReadingGate(name=name, question=PromQuery(query="q"), rules=ReadingRules(**rules))


def kept(sequence, answer, *, step=2):
    """A reading of these numbers, or of this error."""
    at = NOON + sequence * MINUTE
    given = {"error": answer} if isinstance(answer, str) else {"series": answer}
    return KeptReading(
        gate="quality",
        variant="canary",
        sequence=sequence,
        step=step,
        reading=Reading(at=at, **given),
    )


def drawn(readings, *, numbers=200, **rules):
    drawing = ReadingDrawing(gate(**rules), "")
    for one in readings:
        drawing.add(one)
    return drawing.series(numbers)


def test_nothing_read_has_no_points():
    assert drawn([]).points == ()


def test_a_point_is_the_reading_with_what_it_said_and_the_verdict_by_then():
    readings = [kept(i, answer) for i, answer in enumerate([ODD, GOOD, "away", BAD, GOOD])]
    series = drawn(readings, consecutive_error_limit=0)
    assert [point.reading for point in series.points] == [one.reading for one in readings]
    assert [(point.outcome, point.status) for point in series.points] == [
        (Outcome.INCONCLUSIVE, UNDECIDED),
        (Outcome.SUCCESS, PASS),
        (Outcome.ERROR, Status.UNAVAILABLE),
        (Outcome.FAILURE, FAIL),
        (Outcome.SUCCESS, FAIL),
    ]


def test_a_verdict_is_of_the_step_of_its_reading():
    readings = [kept(0, GOOD), kept(1, GOOD), kept(2, GOOD, step=4)]
    points = drawn(readings, count=2).points
    assert [(point.step, point.status) for point in points] == [
        (2, UNDECIDED), (2, PASS), (4, UNDECIDED),
    ]  # fmt: skip


def test_the_last_reading_of_a_step_stays_and_so_does_each_change_of_the_verdict():
    answers = [GOOD] * 50 + [ODD] + [GOOD] * 50
    readings = [kept(i, answer) for i, answer in enumerate(answers)]
    readings += [kept(len(answers) + i, GOOD, step=4) for i in range(50)]
    places = [(point.reading.at - NOON) // MINUTE for point in drawn(readings, numbers=1).points]
    assert places == [0, 50, 51, 100, 150]


def test_there_are_as_many_points_as_asked_for():
    readings = [kept(i, GOOD) for i in range(50)]
    points = drawn(readings, numbers=7).points
    assert len(points) == 7
    assert (points[0].reading, points[-1].reading) == (readings[0].reading, readings[-1].reading)


def test_a_point_with_many_values_counts_for_as_many():
    readings = [kept(i, GOOD * 10) for i in range(50)]
    assert len(drawn(readings, numbers=200).points) == 20


@given(st.lists(st.sampled_from([GOOD, BAD, ODD, (), "away"]), max_size=30), st.integers(1, 9))
def test_between_two_points_the_verdict_stays_and_the_last_is_the_one_of_now(answers, numbers):
    rules = {"failure_limit": 3, "consecutive_error_limit": 1}
    readings = [kept(i, answer, step=2 + 2 * (i // 10)) for i, answer in enumerate(answers)]
    judge, statuses = SteppedJudge("quality", gate(**rules).rules), {}
    for one in readings:
        judge.add(one.step, one.reading)
        statuses[one.reading.at] = judge.verdict(one.step).status
    points = drawn(readings, numbers=numbers, **rules).points
    shown = {point.reading.at: point.status for point in points}
    standing = None
    for one in readings:
        standing = shown.get(one.reading.at, standing)
        assert standing is statuses[one.reading.at]
    assert not readings or points[-1].reading == readings[-1].reading


def test_a_reading_before_the_last_one_is_refused():
    with pytest.raises(ValueError, match="came after"):
        drawn([kept(1, GOOD), kept(0, GOOD)])


def test_each_gate_has_a_series_by_the_name_that_its_readings_are_stored_under():
    gated = replace(plan(), reading_gates=(gate("a"), gate("b")))
    drawings = reading_drawings(gated)
    assert list(drawings) == [("a", gated.candidate.name), ("b", gated.candidate.name)]
    assert [one.series(9).variant for one in drawings.values()] == ["", ""]
