"""Medians and quantiles, against numbers that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.samples import Spread, median, quantile, spaced

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3], 3), ([3, 1], 2), ([3, 1, 2], 2), ([4, 1, 3, 2], 2.5), ([1, 1, 1, 9], 1)],
)
def test_the_median_is_the_middle_one_or_lies_between_both(values, expected):
    assert median(values) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 10), (0.25, 20), (0.5, 30), (0.9, 46), (1, 50)]
)
def test_a_quantile_lies_on_the_line_between_its_neighbours(share, expected):
    assert quantile([50, 10, 40, 20, 30], share) == pytest.approx(expected)


@given(VALUES, st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values, share):
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


def test_no_values_have_no_median():
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_a_spread_tells_how_values_lie():
    found = Spread.of([5, 1, 3])
    assert (found.count, found.least, found.median, found.most) == (3, 1, 3, 5)
    assert found.p90 == pytest.approx(4.6)


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=20))
def test_every_stratum_of_the_phases_gets_one_trial(jitters):
    count = len(jitters)
    phases = spaced(count, jitters)
    assert [int(phase * count + 1e-9) for phase in phases] == list(range(count))
