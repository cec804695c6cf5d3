"""Whole parts of a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.apportionment import apportion
from tests.domain.evidence.scenes import unhurried


@pytest.mark.parametrize(
    ("shares", "whole", "expected"),
    [
        ([1, 1, 1], 100, (34, 33, 33)),
        ([1], 100, (100,)),
        ([0, 1], 100, (0, 100)),
        ([0.05, 0.95], 256, (13, 243)),
        ([12.5, 12.5, 75], 100, (13, 12, 75)),
        ([14.999999999999, 85.000000000001], 100, (15, 85)),
    ],
)
def test_the_largest_remainders_are_rounded_up(shares, whole, expected):
    assert apportion(shares, whole) == expected


@pytest.mark.parametrize("shares", [[], [0, 0], [-1, 2]])
def test_without_positive_shares_nothing_can_be_divided(shares):
    with pytest.raises(ValueError, match="cannot divide"):
        apportion(shares, 100)


@unhurried
@given(
    shares=st.lists(st.floats(0, 1000), min_size=1, max_size=16).filter(lambda s: sum(s) > 0.01),
    whole=st.integers(1, 1000),
)
def test_parts_sum_to_the_whole_and_are_off_by_less_than_one(shares, whole):
    parts = apportion(shares, whole)
    assert sum(parts) == whole
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - whole * share / sum(shares)) < 1 + 1e-6
