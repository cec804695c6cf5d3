"""Figures of a variant: what is not known is no number, and nobody gets what was another's."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.metrics import (
    COMPARED,
    METRICS,
    NOTHING,
    Figures,
    Grid,
    MeasuredVariant,
    Measurement,
    compare,
    counted,
    figures,
    grid_over,
    summed,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TIMES = summed([(0.1, 50), (0.25, 90), (0.5, 100), (math.inf, 100)])


def test_a_variant_without_traffic_has_no_numbers_at_all():
    for silent in (NOTHING, Measurement(requests=0, errors=0, latency=summed([(math.inf, 0)]))):
        assert figures(silent, MINUTE) == Figures()


def test_rates_are_per_second_and_errors_a_fraction_of_requests():
    told = figures(Measurement(requests=120, errors=30, output_tokens=600), MINUTE)
    assert (told.requests_per_second, told.error_rate) == (2, 0.25)
    assert told.output_tokens_per_second == 10


def test_requests_without_a_series_of_errors_have_none():
    told = figures(Measurement(requests=10), MINUTE)
    assert (told.errors, told.error_rate) == (0, 0)


def test_no_more_errors_than_requests():
    assert figures(Measurement(requests=9.6, errors=10.4), MINUTE).error_rate == 1


@pytest.mark.parametrize(
    ("number", "whole"), [(None, None), (0, None), (0.2, None), (-3, None), (0.7, 1), (30.01, 30)]
)
def test_a_count_is_whole_and_nothing_is_no_number(number, whole):
    assert counted(number) == whole


def test_percentiles_are_milliseconds_and_linear_within_a_bucket():
    told = figures(Measurement(requests=100, latency=TIMES), MINUTE)
    assert told.latency_p50_ms == pytest.approx(100)
    assert told.latency_p95_ms == pytest.approx(375)
    assert told.latency_p99_ms == pytest.approx(475)


def test_what_lies_beyond_the_last_bound_is_told_as_that_bound():
    assert summed([(0.5, 1), (math.inf, 10)]).quantile(0.99) == 0.5


def test_a_histogram_without_its_last_bucket_tells_nothing():
    assert summed([(0.5, 1), (1, 10)]).quantile(0.5) is None
    assert summed([]).quantile(0.5) is None


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=8),
    st.lists(st.floats(0.01, 0.99), min_size=2, max_size=4),
)
def test_percentiles_ascend_and_stay_within_the_bounds(counts, shares):
    bounds = [*(2.0**i for i in range(len(counts) - 1)), math.inf]
    histogram = summed(zip(bounds, counts, strict=True))
    told = [histogram.quantile(share) for share in sorted(shares)]
    known = [each for each in told if each is not None]
    assert len(known) == (len(shares) if max(counts) > 0 else 0)
    assert known == sorted(known)
    assert all(0 <= each <= 2.0 ** len(counts) for each in known)


def test_a_variant_is_compared_by_what_does_not_depend_on_the_window():
    stable = figures(Measurement(requests=100, errors=1, latency=TIMES), MINUTE)
    variant = figures(Measurement(requests=50, errors=2), MINUTE)
    told = compare(variant, stable)
    assert told.difference["error_rate"] == pytest.approx(0.03)
    assert told.ratio["error_rate"] == pytest.approx(4)
    assert told.difference["latency_p95_ms"] is None
    assert set(told.ratio) == set(told.difference) == set(COMPARED)
    assert set(METRICS) - set(COMPARED) == {"requests", "errors", "input_tokens", "output_tokens"}


def test_nothing_is_a_multiple_of_zero():
    stable = figures(Measurement(requests=100), MINUTE)
    told = compare(figures(Measurement(requests=10, errors=1), MINUTE), stable)
    assert (told.difference["error_rate"], told.ratio["error_rate"]) == (0.1, None)


@pytest.mark.parametrize(
    ("since", "own"),
    [
        (None, MINUTE),
        (NOW - timedelta(hours=1), MINUTE),
        (NOW - timedelta(seconds=20), timedelta(seconds=20)),
        (NOW + timedelta(seconds=3), timedelta(0)),
    ],
)
def test_a_window_is_cut_to_the_time_that_the_variant_holds_its_slot(since, own):
    variant = MeasuredVariant(workload="w", since=since)
    assert variant.window(NOW, MINUTE) == own


def test_a_grid_ends_at_its_end_with_the_same_step_between_all_points():
    grid = grid_over(NOW, MINUTE, timedelta(seconds=25))
    assert grid.moments() == (NOW - timedelta(seconds=25), NOW)
    assert grid_over(NOW, MINUTE, timedelta(hours=1)).points == 1


@pytest.mark.parametrize(("ago", "points"), [(0, 0), (9, 0), (10, 1), (35, 3), (9000, 6)])
def test_only_steps_that_are_wholly_its_own_are_a_variant_s(ago, points):
    grid = grid_over(NOW, MINUTE, timedelta(seconds=10))
    own = grid.behind(NOW - timedelta(seconds=ago))
    assert own == Grid(end=NOW, step=grid.step, points=points)
    assert grid.behind(None) == grid
