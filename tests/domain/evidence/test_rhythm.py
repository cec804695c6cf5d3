"""The watcher's pace: right behind the scrapes, and never later than its probes."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.evidence.rhythm import seconds_to_news

NEWEST = 1000.0


def every(gap, count=6):
    return [NEWEST - gap * back for back in range(count - 1, -1, -1)]


@pytest.mark.parametrize(
    ("gap", "age", "probe", "expected"),
    [
        (1, 0.5, 1, 0.65),  # the next scrape is due in 0.5 s, and can be read 0.15 s later
        (1, 0.15, 1, 1.0),
        (1, 0.05, 1, 1.0),  # seen sooner than expected: so it will be again
        (15, 8, 15, 8.0),
        (1, 0.5, 15, 14.65),  # the last scrape that comes before the probe is due
        (15, 3, 1, 1.0),  # none is due soon
        (15, 15.5, 1, 0.5),
        (1, 3.5, 1, 0.65),  # scrapes fail: the beat goes on
    ],
)
def test_a_probe_comes_right_behind_a_scrape(gap, age, probe, expected):
    wait = seconds_to_news(every(gap), now=NEWEST + age, probe=probe)
    assert wait == pytest.approx(expected)


def test_a_scrape_that_failed_does_not_change_the_beat():
    times = [995.0, 996.0, 997.0, 999.0, 1000.0]
    assert seconds_to_news(times, now=1000.5, probe=1) == pytest.approx(0.65)


@pytest.mark.parametrize("times", [[], [NEWEST], [NEWEST, NEWEST]])
def test_without_a_beat_probes_keep_their_own(times):
    assert seconds_to_news(times, now=NEWEST + 0.5, probe=2) == 2


@given(
    gap=st.floats(0.1, 60),
    age=st.floats(-100, 100),
    probe=st.floats(0.1, 60),
    count=st.integers(0, 8),
)
def test_a_probe_is_never_put_off(gap, age, probe, count):
    wait = seconds_to_news(every(gap, count), now=NEWEST + age, probe=probe)
    assert 0 < wait <= probe + 1e-6


@given(gap=st.floats(0.5, 20), age=st.floats(0, 40), times=st.integers(1, 5))
def test_a_probe_as_long_as_some_scrapes_finds_a_fresh_one(gap, age, times):
    probe = gap * times
    wait = seconds_to_news(every(gap), now=NEWEST + age, probe=probe)
    assume(wait != probe)
    behind = (age + wait) % gap
    assert behind == pytest.approx(min(gap * 0.15, 1.0), abs=1e-6)
