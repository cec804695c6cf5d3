import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence import rate_ratio
from domain.evidence.rate_ratio import RatioTest
from tests.domain.evidence.scenes import unhurried

ARM = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
ROWS = st.lists(st.tuples(ARM, ARM), min_size=1, max_size=12)
TEST = RatioTest(fail_ratio=1.25, pass_ratio=1.5)


def state(rows):
    ell = TEST.nothing()
    for candidate, stable in rows:
        ell += TEST.increment(candidate, stable)
    return ell


@unhurried
@given(rows=ROWS)
def test_swapping_the_arms_maps_the_interval_to_its_reciprocal(rows):
    ell, swapped = state(rows), state([(stable, candidate) for candidate, stable in rows])
    low, high = rate_ratio.confidence_sequence(ell, 0.95)
    assert rate_ratio.confidence_sequence(swapped, 0.95) == pytest.approx((1 / high, 1 / low))
    middle, other = rate_ratio.estimate(ell), rate_ratio.estimate(swapped)
    if middle and other:
        assert middle * other == pytest.approx(1)
    assert rate_ratio.likely_ratio(ell) * rate_ratio.likely_ratio(swapped) == pytest.approx(1)


@unhurried
@given(rows=ROWS)
def test_the_interval_is_never_narrower_than_the_exact_one(rows):
    """Between grid points the likelihood itself decides, recomputed here on a finer grid."""
    low, high = rate_ratio.confidence_sequence(state(rows), 0.95)
    grid = np.linspace(-math.log(64), math.log(64), 257)
    finer = np.linspace(-math.log(64), math.log(64), 256 * 16 + 1)

    def likelihood(thetas):
        return sum(
            c * thetas - (c + b) * np.log((n_c * np.exp(thetas) + n_b) / (n_c + n_b))
            for (n_c, c), (n_b, b) in rows
        )

    narrow, wide = -0.5 * (grid / 0.25) ** 2, -0.5 * grid**2
    prior = np.exp(narrow) / np.exp(narrow).sum() / 2 + np.exp(wide) / np.exp(wide).sum() / 2
    values = likelihood(grid)
    threshold = (
        np.log((prior * np.exp(values - values.max())).sum()) + values.max() + math.log(0.05)
    )
    inside = finer[likelihood(finer) > threshold]
    assert low <= math.exp(inside[0]) * (1 + 1e-9)
    assert high >= math.exp(inside[-1]) * (1 - 1e-9)
    assert low >= math.exp(inside[0] - (grid[1] - grid[0])) * (1 - 1e-9)
    assert high <= math.exp(inside[-1] + (grid[1] - grid[0])) * (1 + 1e-9)


def test_the_margins_lie_on_the_grid_exactly():
    test = RatioTest(fail_ratio=1.237, pass_ratio=1.61)
    n_c, c, n_b, b = 300, 9, 2700, 60
    ell = test.increment((n_c, c), (n_b, b))
    (exact,) = rate_ratio.point_log_ratios([(n_c, c, n_b, b)], null_ratio=1.237, alt_ratio=64.0)
    assert test.worse_ratios(ell)[-1] == pytest.approx(exact)
    (exact,) = rate_ratio.point_log_ratios([(n_c, c, n_b, b)], null_ratio=1.61, alt_ratio=1 / 64)
    assert test.better_ratios(ell)[0] == pytest.approx(exact)


def test_phi_divides_what_an_interval_says():
    plain, scattered = TEST.increment((30, 3), (270, 4)), TEST.increment((30, 3), (270, 4), 5.0)
    assert scattered == pytest.approx(plain / 5)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([((100, 0), (900, 0))], None),
        ([((100, 5), (900, 0))], None),
        ([((100, 0), (900, 5))], 0.0),
        ([((1000, 20), (9000, 90))], pytest.approx(2.0, rel=2e-3)),
        ([((1000, 10), (9000, 90))], pytest.approx(1.0, rel=2e-3)),
    ],
)
def test_the_estimate_is_the_most_likely_ratio(rows, expected):
    assert rate_ratio.estimate(state(rows)) == expected


def test_nothing_known_leaves_the_whole_grid_open():
    assert rate_ratio.confidence_sequence(TEST.nothing(), 0.95) == (1 / 64, 64.0)
    assert rate_ratio.likely_ratio(TEST.nothing()) == pytest.approx(1.0)


def test_huge_counts_stay_exact_and_finite():
    ell = state([((10**9, 3 * 10**7), (9 * 10**9, 18 * 10**7))] * 100)
    low, high = rate_ratio.confidence_sequence(ell, 0.95)
    assert low < 1.5 < high
    assert high / low < 1.1
    assert rate_ratio.estimate(ell) == pytest.approx(1.5, rel=1e-3)
    assert TEST.log_e_fail(ell) > 1e6
    assert math.isfinite(float(TEST.log_e_pass(ell)))


@pytest.mark.parametrize("ratio", [64.0, 1 / 64, 1000.0])
def test_a_margin_beyond_the_grid_is_refused(ratio):
    with pytest.raises(ValueError, match="must lie between"):
        RatioTest(fail_ratio=ratio, pass_ratio=1.5)
