"""The parts beside the judge: special functions, restarts, histograms, splits, best arms."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence import best_arm, fraction, histograms, split
from domain.evidence.beta_functions import log_beta, log_beta_cdf
from domain.evidence.fraction import FractionTest
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.restarts import HALVED_AFTER, KEPT_PER_DOUBLING, Restarts
from tests.domain.evidence.scenes import unhurried

# The incomplete beta function: closed forms, symmetry, tails


@pytest.mark.parametrize(
    ("a", "b", "x", "expected"),
    [
        (1, 1, 0.3, 0.3),
        (3, 1, 0.5, 0.125),
        (1, 4, 0.2, 1 - 0.8**4),
        (2, 3, 0.4, 0.5248),  # P(Bin(4, .4) >= 2)
        (0.5, 0.5, 0.25, 2 / math.pi * math.asin(0.5)),
        (5, 5, 0.5, 0.5),
    ],
)
def test_the_incomplete_beta_function_in_closed_form(a, b, x, expected):
    assert math.exp(log_beta_cdf(a, b, x)) == pytest.approx(expected, rel=1e-12)


@unhurried
@given(n=st.integers(1, 60), k=st.integers(1, 60), x=st.floats(0.001, 0.999, allow_nan=False))
def test_the_incomplete_beta_function_is_a_binomial_tail(n, k, x):
    k = min(k, n)
    tail = math.fsum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(k, n + 1))
    assert math.exp(log_beta_cdf(k, n - k + 1, x)) == pytest.approx(tail, rel=1e-9)


def test_the_incomplete_beta_function_does_not_underflow_or_stall():
    assert log_beta_cdf(500, 3, 1e-4) == pytest.approx(
        500 * math.log(1e-4) - math.log(500) - log_beta(500, 3), abs=1e-3
    )
    assert log_beta_cdf(1e6, 9e6, 0.1) == pytest.approx(math.log(0.5), abs=1e-3)
    assert log_beta_cdf(2, 3, 0) == -math.inf
    assert log_beta_cdf(2, 3, 1) == 0


# One fraction


@unhurried
@given(n=st.integers(1, 100_000), data=st.data())
def test_the_interval_of_a_fraction_holds_what_was_seen_and_mirrors(n, data):
    bad = data.draw(st.integers(0, n))
    low, high = fraction.confidence_sequence(bad, n, alpha=0.05)
    assert 0 <= low <= bad / n <= high <= 1
    mirrored = fraction.confidence_sequence(n - bad, n, alpha=0.05)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-7)


def test_without_requests_any_fraction_is_possible():
    assert fraction.confidence_sequence(0, 0, alpha=0.05) == (0.0, 1.0)


@pytest.mark.parametrize("limit", [0.0, 1e-12, 0.5, 1.0])
def test_a_limit_at_the_edge_stays_finite(limit):
    test = FractionTest(limit)
    for bad, requests in ((0, 10**9), (10**9, 10**9), (1, 10)):
        assert math.isfinite(float(test.log_e_above(bad, requests)))
        assert math.isfinite(float(test.log_e_below(bad, requests)))


# Restarts


def marked(times: int) -> Restarts[int]:
    test = FractionTest(0.01)
    starts = Restarts[int](test.prior)
    for k in range(1, times + 1):
        starts.mark(test.above_ratios(0, 10 * k), k)
    return starts


def test_before_any_data_the_evidence_is_one():
    test = FractionTest(0.01)
    assert Restarts[None](test.prior).log_e(test.above_ratios(0, 0)) == pytest.approx(0)


def test_a_restart_where_nothing_was_learnt_is_not_made():
    test = FractionTest(0.01)
    starts, plain = Restarts[None](test.prior), Restarts[None](test.prior)
    for _ in range(5):
        starts.mark(test.above_ratios(0, 0), None)
    assert starts.log_e(test.above_ratios(3, 40)) == plain.log_e(test.above_ratios(3, 40))


@pytest.mark.parametrize("rises", [(), (3,), (2, 5, 6)])
def test_the_mixture_is_the_sum_over_all_of_its_starts(rises):
    test = RatioTest(fail_ratio=1.25, pass_ratio=1.5)
    starts = Restarts[None](test.worse_prior, late_share=0.2)
    states = np.cumsum(
        [test.increment((25, c), (475, 5)) for c in (0, 1, 0, 0, 2, 1, 3, 4)], axis=0
    )
    left = [0.3]
    for marked, state in enumerate(states[:-1], start=1):
        starts.mark(test.worse_ratios(state), None, is_rise=marked in rises)
        so_far = sum(rise <= marked for rise in rises)
        left.append(0.2 / math.sqrt(1 + 3 * marked / HALVED_AFTER) + 0.1 * (2 / 3) ** so_far)
    shares = [0.7, *(before - after for before, after in pairwise(left))]
    since = [states[-1] - state for state in (test.nothing(), *states[:-1])]
    parts = [math.exp(float(test.log_e_fail(each))) for each in since]
    whole = sum(share * part for share, part in zip(shares, parts, strict=True)) + left[-1]
    assert math.exp(starts.log_e(test.worse_ratios(states[-1]))) == pytest.approx(whole)


def test_more_is_bet_where_the_weight_has_risen_even_if_nothing_was_learnt_since():
    test = FractionTest(0.01)
    plain, risen = marked(50), marked(50)
    risen.mark(test.above_ratios(0, 500), 51, is_rise=True)
    bad_since = test.above_ratios(9, 540)
    assert risen.log_e(bad_since) > plain.log_e(bad_since) + 1
    assert risen.leading(bad_since) == 51


def test_old_restarts_are_thinned_and_recent_ones_kept():
    starts = marked(5000)
    kept = [start.ordinal for start in starts._starts]
    assert kept[0] == 0
    recent = 2 * KEPT_PER_DOUBLING
    assert kept[-recent:] == list(range(5001 - recent, 5001))
    assert len(kept) < KEPT_PER_DOUBLING * 2 * math.log2(5000)
    older = np.array(kept[1:-recent])
    assert (np.diff(older) / (5000 - older[:-1])).max() <= 1 / KEPT_PER_DOUBLING


def test_the_leading_restart_is_where_the_trouble_began():
    test = FractionTest(0.01)
    starts = marked(100)
    assert starts.leading(test.above_ratios(9, 1030)) in {99, 100}
    assert Restarts[int](test.prior).leading(test.above_ratios(9, 30)) is None


# Histograms, by the rules of PromQL

LE = (0.1, 0.5, 1.0, math.inf)
SEEN = (40, 90, 98, 100)


@pytest.mark.parametrize(
    ("bounds", "counts", "q", "expected"),
    [
        (LE, SEEN, 0.2, 0.05),
        (LE, SEEN, 1.0, 1.0),
        (LE, SEEN, 0.99, 1.0),
        (LE, SEEN, -0.1, -math.inf),
        (LE, SEEN, 1.1, math.inf),
        ((-1.0, 1.0, math.inf), (5, 10, 10), 0.2, -1.0),
        ((0.1, 0.5, math.inf), (40, 30, 100), 0.4, 0.1),
        ((0.1, math.inf), (0, 10), 0.0, 0.0),
    ],
)
def test_a_quantile_is_interpolated_inside_its_bucket(bounds, counts, q, expected):
    assert histograms.quantile(bounds, counts, q) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bounds", "counts"), [((), ()), ((0.1, 0.5), (1, 2)), (LE, (0, 0, 0, 0)), ((math.inf,), (5,))]
)
def test_without_observations_or_an_infinite_bucket_there_is_no_quantile(bounds, counts):
    assert math.isnan(histograms.quantile(bounds, counts, 0.5))


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0, 0.25, 0.5875),
        (-math.inf, math.inf, 1.0),
        (0.5, 1.0, 0.08),
        (0.5, 0.5, 0.0),
        (2.0, 9.0, 0.0),
        (2.0, math.inf, 0.02),
        (0.0, 0.1, 0.4),
    ],
)
def test_a_fraction_is_what_lies_between_two_values(lower, upper, expected):
    assert histograms.fraction(LE, SEEN, lower=lower, upper=upper) == pytest.approx(expected)


def test_a_fraction_of_nothing_is_not_a_number():
    assert math.isnan(histograms.fraction(LE, (0, 0, 0, 0), lower=0, upper=1))
    assert math.isnan(histograms.fraction(LE, SEEN, lower=math.nan, upper=1))


def test_below_a_first_bound_of_zero_everything_is_below_any_value():
    bounds, counts = (-1.0, 1.0, math.inf), (5, 10, 10)
    assert histograms.fraction(bounds, counts, lower=-math.inf, upper=-2.0) == 0.5


def test_slow_is_counted_at_the_bounds_around_stables_quantiles():
    assert histograms.slow_bounds(LE, SEEN) == (0.5, 1.0)
    assert histograms.slow_bounds(LE, SEEN, (0.3, 0.5)) == (0.1, 0.5)
    assert histograms.slow_bounds((0.1, 0.5), (1, 2)) == ()


# Splits and arms


def test_a_split_as_weighted_raises_no_alarm_and_another_does():
    fair = split.sample_ratio_mismatch([[50, 950]] * 200, [0.05, 0.95])
    skewed = split.sample_ratio_mismatch([[40, 960]] * 200, [0.05, 0.95])
    assert fair.p_values[-1] == 1
    assert skewed.p_values[-1] < 0.01
    assert list(skewed.p_values) == sorted(skewed.p_values, reverse=True)


def test_a_split_never_seen_says_nothing():
    nothing = split.sample_ratio_mismatch([], [0.5, 0.5])
    assert (nothing.p_values, nothing.log_bayes_factor, nothing.posterior) == ((), 0.0, 0.5)


def test_an_enormous_mismatch_stays_finite():
    found = split.sample_ratio_mismatch([[10**9, 0]], [0.05, 0.95])
    assert found.posterior == 1
    assert found.p_values == (0.0,)
    found = split.sample_ratio_mismatch([[10**9, 10**9]], [0.5, 0.5])
    assert 0 < found.posterior < 1e-3


@unhurried
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3000)), min_size=2, max_size=4))
def test_the_chances_of_being_best_sum_to_one_and_change_sides(arms):
    wins, totals = [s for s, _ in arms], [s + f for s, f in arms]
    best = best_arm.prob_best(wins, totals)
    assert sum(best) == pytest.approx(1, abs=1e-5)
    losses = [n - s for s, n in zip(wins, totals, strict=True)]
    mirrored = best_arm.prob_best(losses, totals, higher_is_better=False)
    assert mirrored == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_expected_loss_agrees_with_draws(higher_is_better):
    wins, totals = [12, 30, 25], [200, 210, 190]
    draws = np.random.default_rng(9).beta(
        1 + np.array(wins), 1 + np.array(totals) - np.array(wins), size=(200_000, 3)
    )
    best = draws.max(axis=1) if higher_is_better else draws.min(axis=1)
    expected = abs(best[:, None] - draws).mean(axis=0)
    found = best_arm.expected_loss(wins, totals, higher_is_better=higher_is_better)
    assert found == pytest.approx(expected, abs=3e-4)


def test_the_floor_keeps_the_order_and_the_sum():
    weights = best_arm.weight_floor([0.0, 0.1, 0.9], 0.05)
    assert sum(weights) == pytest.approx(1)
    assert weights == sorted(weights)
    assert weights[0] == 0.05
