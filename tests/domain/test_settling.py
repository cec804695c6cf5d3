"""When traffic counts as obeying: shares judged with their noise, counters read as they come."""

import random

import pytest

from domain.evidence.counters import Reading, Series, SeriesRole
from domain.settling import Agreement, Share, StartedTally, agreement


@pytest.mark.parametrize(
    ("candidate", "stable", "weight", "previous", "expected"),
    [
        (0, 0, 10, 0, Agreement.SILENT),
        (10, 90, 10, 0, Agreement.AGREES),
        (0, 100, 10, 0, Agreement.DISAGREES),
        (3, 10, 10, 0, Agreement.TOO_FEW),
        (30, 70, 10, 0, Agreement.DISAGREES),
        (100, 300, 25, 10, Agreement.AGREES),
        (25, 225, 25, 10, Agreement.DISAGREES),
        (3, 9, 25, 10, Agreement.TOO_FEW),
        (0, 40, 0, 10, Agreement.AGREES),
        (0, 5, 0, 10, Agreement.TOO_FEW),
        (1, 500, 0, 10, Agreement.DISAGREES),
        (40, 0, 100, 50, Agreement.AGREES),
        (400, 1, 100, 50, Agreement.DISAGREES),
        (10, 90, 10, 10, Agreement.AGREES),
    ],
)
def test_shares_are_judged_against_the_weight_and_the_one_before(
    candidate, stable, weight, previous, expected
):
    share = Share(candidate=candidate, stable=stable)

    assert agreement(share, weight=weight, previous=previous) is expected


@pytest.mark.parametrize(("weight", "previous"), [(5, 0), (10, 5), (50, 25), (99, 50)])
def test_traffic_that_obeys_is_almost_never_called_disobedient(weight, previous):
    draw = random.Random(7)
    wrong = 0
    for _ in range(300):
        n = draw.randint(1, 2000)
        candidate = sum(draw.random() < weight / 100 for _ in range(n))
        share = Share(candidate=candidate, stable=n - candidate)
        wrong += agreement(share, weight=weight, previous=previous) is Agreement.DISAGREES

    assert wrong <= 3


@pytest.mark.parametrize(("weight", "previous"), [(10, 0), (25, 10), (50, 25), (100, 50), (0, 10)])
def test_traffic_that_stays_where_it_was_is_never_called_obedient(weight, previous):
    draw = random.Random(7)
    for n in (10, 50, 200, 1000):
        for _ in range(50):
            candidate = sum(draw.random() < previous / 100 for _ in range(n))
            share = Share(candidate=candidate, stable=n - candidate)

            assert agreement(share, weight=weight, previous=previous) is not Agreement.AGREES


def series(key: str, *values: float, role: SeriesRole = SeriesRole.STARTED) -> tuple[Series, ...]:
    """One sample a second; the series as a reading at the last of them would show it."""
    samples = tuple((float(at), value) for at, value in enumerate(values, start=1))
    return (Series(key=key, role=role, samples=samples),)


def counted(*readings: tuple[tuple[float, ...], tuple[float, ...]]) -> Share:
    tally = StartedTally()
    for candidate, stable in readings:
        tally.take(Reading(candidate=series("c", *candidate), stable=series("s", *stable)))
    return tally.share


def test_what_began_before_the_second_sample_does_not_count():
    share = counted(((50,), (900,)), ((50, 60), (900, 990)), ((50, 60, 75), (900, 990, 1075)))

    assert share == Share(candidate=15, stable=85)


def test_a_counter_that_starts_anew_loses_nothing_after_it():
    share = counted(((50,), (900,)), ((50, 60), (900, 990)), ((50, 60, 5), (900, 990, 20)))

    assert share == Share(candidate=5, stable=20)


def test_finished_requests_are_not_started_ones():
    tally = StartedTally()
    for n in (1, 2, 3):
        done = series("c", *range(n), role=SeriesRole.REQUESTS)
        tally.take(Reading(candidate=done, stable=()))

    assert tally.share.total == 0


def test_a_disagreement_starts_the_count_anew():
    tally = StartedTally()
    for n in (1, 2, 3):
        tally.take(Reading(candidate=series("c", *range(n)), stable=series("s", *range(n))))
    tally.disagree()

    assert tally.share.total == 0
    assert tally.disagreements == 1
