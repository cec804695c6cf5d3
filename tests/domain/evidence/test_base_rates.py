"""What a gate counts of stable before a rollout: the sums that a watch would have come to."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence.base_rates import BaseRates, base_rates, counted
from domain.evidence.counters import Reading, Series, SeriesRole, advance
from domain.gates import Gate, Metric, Source
from tests.domain.evidence.scenes import unhurried

REQUESTS, ERRORS, BUCKET = SeriesRole.REQUESTS, SeriesRole.ERRORS, SeriesRole.BUCKET
VLLM = Source.VLLM


def series(key, role, *values, since=0.0, every=15.0, bound_ms=None):
    samples = tuple((since + every * k, float(value)) for k, value in enumerate(values))
    return Series(key=key, role=role, bound_ms=bound_ms, samples=samples)


def histogram(*, within=(0, 90), every=(0, 100), bound=500.0):
    return (
        series("within", BUCKET, *within, bound_ms=bound),
        series("all", BUCKET, *every, bound_ms=math.inf),
    )


def errors(source=VLLM):
    return Gate(name="errors", metric=Metric.ERROR_RATE, source=source, limit=0.1)


def first_token(bound=500.0):
    metric = Metric.TIME_TO_FIRST_TOKEN
    return Gate(name="first", metric=metric, source=VLLM, slow_over_ms=bound, limit=0.1)


def told(gate, listed, bounds=()):
    found = counted(listed)
    assert found is not None
    return base_rates(gate, found, bounds)


def test_requests_and_failures_are_summed_over_pods():
    listed = [
        series("a", REQUESTS, 1000, 1300, 1600),
        series("b", REQUESTS, 50, 350, 650),
        series("a!", ERRORS, 7, 13, 19),
    ]
    assert told(errors(), listed) == BaseRates(per_second=1200 / 30, bad=(12 / 1200,))


def test_a_counter_that_starts_anew_counts_from_nothing():
    listed = [series("a", REQUESTS, 1000, 1100, 40, 140)]
    assert told(errors(), listed) == BaseRates(per_second=240 / 45, bad=(0.0,))


def test_a_series_that_appears_counts_from_its_first_value_too():
    listed = [
        series("a", REQUESTS, *range(0, 1100, 100)),
        series("a!", ERRORS, 30, 50, since=120.0),
    ]
    assert told(errors(), listed).bad == (0.05,)


def test_pods_that_are_scraped_in_turn_have_a_past_of_their_own():
    """A target's first sample in a window is no birth, though another's came before."""
    listed = [
        series("a", REQUESTS, 1000, 1300, since=0.0),
        series("b", REQUESTS, 9000, 9300, since=14.0),
    ]
    assert told(errors(), listed).per_second == pytest.approx(600 / 15)


def test_a_histogram_of_its_own_counts_its_own_observations():
    rates = told(first_token(), [*histogram(), series("r", REQUESTS, 0, 9000)])
    assert (rates.per_second, rates.bad) == (pytest.approx(100 / 15), (pytest.approx(0.1),))


TOKENS = Gate(name="tokens", metric=Metric.TOKENS, source=VLLM, limit=0.1)


@pytest.mark.parametrize(
    ("gate", "bad"),
    [(replace(TOKENS, more_than=16), 0.1), (replace(TOKENS, no_more_than=16), 0.9)],
)
def test_tokens_are_bad_on_the_side_that_the_gate_names(gate, bad):
    assert told(gate, histogram(bound=16.0)).bad == (pytest.approx(bad),)


def test_a_gate_without_a_bound_counts_at_each_of_stable_s_history():
    gate = Gate(name="first", metric=Metric.TIME_TO_FIRST_TOKEN, source=VLLM)
    listed = [
        series("x", BUCKET, 0, 50, bound_ms=100.0),
        *histogram(within=(0, 99), every=(0, 100), bound=900.0),
    ]
    rates = told(gate, listed, bounds=(100.0, 900.0))
    assert rates.bounds == (100.0, 900.0)
    assert rates.bad == (pytest.approx(0.5), pytest.approx(0.01))


@pytest.mark.parametrize(
    ("gate", "listed", "reason"),
    [
        (first_token(250.0), histogram(), "vllm shows no bound at 250 of stable"),
        (first_token(), [series("r", REQUESTS, 0, 10)], "vllm shows no histogram of stable"),
        (
            errors(),
            [series("r", REQUESTS, 10, 10)],
            "vllm counted nothing of stable in the window",
        ),
    ],
)
def test_what_is_not_counted_is_told_with_its_source(gate, listed, reason):
    assert told(gate, listed) == reason


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [series("a", REQUESTS)],
        [series("a", REQUESTS, 1000)],
        [series("a", REQUESTS, math.nan, math.nan)],
    ],
)
def test_of_one_sample_nothing_is_counted(listed):
    assert counted(listed) is None


@unhurried
@given(
    growths=st.lists(st.integers(min_value=1, max_value=50), min_size=8, max_size=40),
    restarts_at=st.integers(min_value=5, max_value=40),
    born_at=st.integers(min_value=6, max_value=40),
)
def test_the_sums_are_those_that_a_watch_comes_to(growths, restarts_at, born_at):
    """However often it looks, through resets and series that are born meanwhile."""
    values = [10_000.0]
    for k, growth in enumerate(growths):
        values.append(growth if k == restarts_at else values[-1] + growth)
    listed = [series("r", REQUESTS, *values)]
    late = [float(k) for k in range(1, len(values) - born_at)]
    if late:
        listed.append(series("e", ERRORS, *late, since=15.0 * born_at))
    cursor, requests, errors = None, 0, 0
    for k in range(len(values)):
        until = 15.0 * k
        shown = tuple(
            replace(one, samples=tuple(each for each in one.samples if each[0] <= until))
            for one in listed
        )
        reading = Reading(candidate=shown, stable=shown)
        interval, cursor = advance(cursor, reading, sequence=k, step=0, weight=10)
        requests += interval.stable.requests if interval else 0
        errors += interval.stable.errors if interval else 0
    found = counted(listed)
    assert found is not None
    assert (found.stable.requests, found.stable.errors) == (requests, errors)
