"""When traffic counts as obeying: shares judged with their noise, counters read as they come."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence.counters import Reading, Series, SeriesRole
from domain.settling import (
    Agreement,
    Due,
    Share,
    StartedTally,
    agreement,
    comparisons,
    pairs,
)
from domain.traffic import Place, PlaceKind, Slot


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


def slots(*weights):
    return tuple(Slot(workload=f"w{i}", weight=weight) for i, weight in enumerate(weights))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # One that joins at weight 0, and gets none: there is nothing to compare.
        ((100,), (100, 0), []),
        ((100, 0), (90, 10), [(1, 0, 10, 0)]),
        ((90, 10), (100, 0), [(1, 0, 0, 10)]),
        # The reference is who has most now, whoever stable is.
        ((100, 0), (0, 100), [(0, 1, 0, 100)]),
        ((100, 0), (40, 60), [(0, 1, 40, 100)]),
        # Of three shares each is compared with the largest.
        ((100, 0, 0), (60, 30, 10), [(1, 0, 100 / 3, 0), (2, 0, 100 / 7, 0)]),
        # What has left goes on being looked at; what joins had nothing before.
        ((70, 30), (100,), [(1, 0, 0, 30)]),
        ((100,), (70, 30), [(1, 0, 30, 0)]),
        # A gap in the route carries nothing.
        ((90, 0, 10), (80, 0, 20), [(2, 0, 20, 10)]),
        # Neither of the two had anything: nothing is known to have gone to the first.
        ((100, 0, 0), (0, 50, 50), [(0, 1, 0, 100), (2, 1, 50, 0)]),
    ],
)
def test_each_share_is_compared_with_the_largest(before, after, expected):
    found = pairs(slots(*before), slots(*after))
    assert [(p.slot, p.reference) for p in found] == [pair[:2] for pair in expected]
    for pair, (*_, weight, previous) in zip(found, expected, strict=True):
        assert pair.weight == pytest.approx(weight)
        assert pair.previous == pytest.approx(previous)


SPLIT, STABLE = Place(position=1), Place(position=0)
COPIES = Place(kind=PlaceKind.MIRROR, position=0)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((0, 0), (0, 0), []),
        ((0, 0), (10, 0), [(SPLIT, STABLE, 10, 0)]),
        ((10, 0), (10, 0), [(SPLIT, STABLE, 10, 10)]),
        # As many copies as requests of stable are half of both.
        ((0, 0), (0, 100), [(COPIES, STABLE, 50, 0)]),
        ((0, 20), (0, 50), [(COPIES, STABLE, 100 / 3, 100 / 6)]),
        ((0, 100), (0, 0), [(COPIES, STABLE, 0, 50)]),
        # What the candidate answers itself is copied, too.
        ((20, 0), (20, 40), [(SPLIT, STABLE, 20, 20), (COPIES, STABLE, 100 / 3, 0)]),
        ((60, 0), (60, 40), [(SPLIT, STABLE, 60, 60), (COPIES, SPLIT, 40, 0)]),
        ((0, 50), (10, 0), [(SPLIT, STABLE, 10, 0), (COPIES, STABLE, 0, 100 / 3)]),
        ((0, 50), (100, 0), [(SPLIT, STABLE, 100, 0), (COPIES, SPLIT, 0, 100)]),
    ],
)
def test_what_a_candidate_is_due_is_compared_with_what_others_get(before, now, expected):
    found = comparisons(due(*now), due(*before), candidate=1, stable=0)
    assert [(c.place, c.reference) for c in found] == [one[:2] for one in expected]
    for compared, (*_, weight, previous) in zip(found, expected, strict=True):
        assert compared.weight == pytest.approx(weight)
        assert compared.previous == pytest.approx(previous)


def due(weight, copied):
    return Due(weight=weight, copies=copied)


@pytest.mark.parametrize(("weight", "percent"), [(0, 1), (0, 50), (0, 100), (30, 50), (80, 100)])
def test_copies_that_are_drawn_as_written_are_almost_never_called_disobedient(weight, percent):
    draw, wrong, seen = random.Random(7), 0, 0
    *_, compared = comparisons(due(weight, percent), due(weight, 0), candidate=1, stable=0)
    for _ in range(300):
        n = draw.randint(1, 2000)
        copied = sum(draw.random() < percent / 100 for _ in range(n))
        beside = sum(draw.random() < compared.beside / 100 for _ in range(n))
        share = Share(candidate=copied, stable=beside)
        verdict = agreement(share, weight=compared.weight, previous=compared.previous)
        wrong += verdict is Agreement.DISAGREES
        seen += verdict is Agreement.AGREES

    assert wrong <= 3
    assert seen > 200 if percent > 1 else seen > 100


@pytest.mark.parametrize(("percent", "previous"), [(10, 0), (100, 0), (100, 50), (0, 10)])
def test_copies_that_are_drawn_as_before_are_never_called_obedient(percent, previous):
    draw = random.Random(7)
    (compared,) = comparisons(due(0, percent), due(0, previous), candidate=1, stable=0)
    for n in (10, 50, 200, 1000):
        for _ in range(50):
            copied = sum(draw.random() < previous / 100 for _ in range(n))
            share = Share(candidate=copied, stable=n)
            verdict = agreement(share, weight=compared.weight, previous=compared.previous)
            assert verdict is not Agreement.AGREES


def divisions(most=4):
    """Weights that sum to 100, as differences of sorted cuts."""
    cuts = st.lists(st.integers(0, 100), min_size=0, max_size=most - 1).map(sorted)
    return cuts.map(lambda c: tuple(b - a for a, b in pairwise([0, *c, 100])))


@given(divisions(), divisions())
def test_pairs_agree_where_the_shares_are_as_the_weights_say(before, after):
    n = 20_000
    width = max(len(before), len(after))
    told = [w * n // 100 for w in after] + [0] * (width - len(after))
    found = pairs(slots(*before), slots(*after))
    for pair in found:
        share = Share(candidate=told[pair.slot], stable=told[pair.reference])
        assert agreement(share, weight=pair.weight, previous=pair.weight) is Agreement.AGREES
    covered = {pair.slot for pair in found} | {after.index(max(after))}
    carrying = {i for i, w in enumerate(after) if w} | {i for i, w in enumerate(before) if w}
    assert carrying <= covered


@given(divisions(), divisions())
def test_requests_that_still_go_where_they_went_agree_only_where_nothing_changed(before, after):
    n = 20_000
    old = [w * n // 100 for w in before] + [0] * (len(after) - len(before))
    judged = [
        agreement(
            Share(candidate=old[pair.slot], stable=old[pair.reference]),
            weight=pair.weight,
            previous=pair.previous,
        )
        for pair in pairs(slots(*before), slots(*after))
    ]
    padded = [tuple(w) + (0,) * (max(len(before), len(after)) - len(w)) for w in (before, after)]
    if padded[0] == padded[1]:
        assert set(judged) <= {Agreement.AGREES}
    elif max(abs(a - b) for a, b in zip(*padded, strict=True)) > 10:
        assert set(judged) != {Agreement.AGREES}
