"""Spans of time as people say them."""

from datetime import timedelta

import pytest

from domain.spans import read_span, spoken


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


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h", 3600), ("7d", 604_800)]
)
def test_a_span_is_read_as_it_is_written(text, seconds):
    assert read_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "0s", "-5m", "5.5m", "1h30m", "5 m", "5M", "٣s", "5m\n", "9999999999d"]
)
def test_what_is_no_span_is_refused_with_the_rule(text):
    with pytest.raises(ValueError, match="30s, 5m, 1h or 7d"):
        read_span(text)
