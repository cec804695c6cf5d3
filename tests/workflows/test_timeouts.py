"""How often a look reports: soon in a new step, ever more rarely in an old rollout."""

from datetime import timedelta

import pytest

from workflows.timeouts import report_after

WEEK = timedelta(days=7)
# Activity scheduled, started, completed; workflow task scheduled, started, completed.
EVENTS_PER_REPORT = 6


@pytest.mark.parametrize(
    ("age_of_step", "age", "expected"),
    [
        (timedelta(seconds=0), timedelta(seconds=0), timedelta(seconds=15)),
        (timedelta(seconds=0), WEEK, timedelta(seconds=15)),
        (timedelta(seconds=15), timedelta(seconds=20), timedelta(seconds=15)),
        (timedelta(minutes=1), timedelta(hours=1), timedelta(minutes=3)),
        (WEEK, WEEK, timedelta(hours=2)),
    ],
)
def test_a_look_reports_ever_more_rarely(age_of_step, age, expected):
    assert report_after(age_of_step, age, 0) == expected


@pytest.mark.parametrize(
    ("history_bytes", "expected"), [(4_999_999, 2), (5_000_000, 2), (10_000_000, 4)]
)
def test_it_reports_the_more_rarely_the_larger_the_history_is(history_bytes, expected):
    assert report_after(WEEK, WEEK, history_bytes) == timedelta(hours=expected)


@pytest.mark.parametrize("steps", [1, 7, 14])
def test_a_week_of_reports_stays_below_two_thousand_events(steps):
    soak, age, reports = WEEK / steps, timedelta(0), 0
    for step in range(steps):
        while age < soak * (step + 1):
            left = soak * (step + 1) - age
            age += min(left, report_after(age - soak * step, age, 0))
            reports += 1

    assert reports * EVENTS_PER_REPORT < 1_400


@pytest.mark.parametrize(
    ("kilobytes", "age_at_most"),
    [(60, WEEK * 26), (550, WEEK)],
    ids=["twenty gates of a canary", "twenty gates of each of ten arms"],
)
def test_reports_stay_far_below_the_limit_of_a_history_s_bytes(kilobytes, age_at_most):
    age, history_bytes = timedelta(0), 0
    while age < age_at_most:
        age += report_after(age, age, history_bytes)
        history_bytes += kilobytes * 1000

    assert history_bytes < 40_000_000
