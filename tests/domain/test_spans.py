"""Spans of time as people say them."""

from datetime import timedelta

import pytest

from domain.spans import spoken


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (1, "1 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86_400 + 61, "1 d 1 min"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(seconds, said):
    assert spoken(timedelta(seconds=seconds)) == said
