"""The shape of the times is told where it changes, whatever the direction, and decides nothing."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import judge
from domain.evidence.shape import ODDS_NEEDED, Shape
from domain.gates import AgainstStable, Gate, Metric
from tests.domain.evidence.scenes import NOON

BOUNDS = (50.0, 100.0, 250.0, 500.0)
SLOW = Gate(
    name="slow",
    metric=Metric.LATENCY,
    slow_over_ms=500,
    against_stable=AgainstStable(floor=0.02),
)
ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.02))


def timed(rnd, requests, median):
    times = rnd.lognormal(np.log(median), 0.6, requests)
    within = tuple(int((times <= bound).sum()) for bound in BOUNDS)
    return Counts(requests=requests, errors=0, within=within, timed=requests)


def life(*, median=100.0, looks=100, share=0.1, weight=10, seed=1, step=0):
    """Intervals of about 500 requests, the candidate's with this median, stable's with 100 ms."""
    rnd = np.random.default_rng(seed)
    for k in range(looks):
        opened = NOON + timedelta(seconds=5 * k)
        candidate = int(rnd.binomial(500, share))
        yield Interval(
            sequence=k,
            step=step,
            weight=weight,
            opened_at=opened,
            closed_at=opened + timedelta(seconds=5),
            candidate=timed(rnd, candidate, median),
            stable=timed(rnd, 500 - candidate, 100.0),
            bounds_ms=BOUNDS,
        )


def highest(intervals, phi=1.0):
    shape, most = Shape(phi), -np.inf
    for one in intervals:
        shape.add(one)
        most = max(most, shape.odds())
    return most


def test_the_same_shape_is_seldom_told_to_be_another_however_often_one_looks():
    told = sum(highest(life(looks=100, seed=seed)) >= ODDS_NEEDED for seed in range(60))
    assert told <= 3


@pytest.mark.parametrize("median", [85.0, 115.0])
def test_slower_and_faster_times_alike_are_told(median):
    assert highest(life(median=median)) >= ODDS_NEEDED


def test_a_split_that_is_off_is_not_taken_for_another_shape():
    assert highest(life(share=0.2)) < ODDS_NEEDED


def test_a_new_weight_begins_anew():
    shape = Shape(1.0)
    for one in life(median=115.0):
        shape.add(one)
    for one in life(looks=1, weight=50, share=0.5):
        shape.add(one)
    assert shape.odds() < ODDS_NEEDED


def test_what_scatters_more_takes_more():
    few = list(life(median=115.0, looks=30))
    shapes = []
    for phi in (1.0, 4.0):
        shape = Shape(phi)
        for one in few:
            shape.add(one)
        shapes.append(shape.log_e())
    assert shapes[1] == pytest.approx(shapes[0] / 4)


def test_a_preview_without_a_weight_and_counts_without_times_say_nothing():
    shape = Shape(1.0)
    for one in life(median=200.0):
        shape.add(replace(one, weight=0))
        shape.add(replace(one, bounds_ms=()))
    assert shape.odds() == 1.0


def noted(verdict):
    assert verdict.quality is not None
    return "shape changed" in verdict.quality.flags


def test_a_verdict_on_times_notes_another_shape_and_is_the_same_verdict():
    slow, errors = judge((SLOW, ERRORS), list(life(median=115.0)), step=0)
    same, _ = judge((SLOW, ERRORS), list(life()), step=0)
    assert (noted(slow), noted(errors), noted(same)) == (True, False, False)
    assert "distributed otherwise than stable's" in slow.reason
    assert slow.status is same.status
