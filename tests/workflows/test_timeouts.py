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
    assert report_after(age_of_step, age) == expected


@pytest.mark.parametrize("steps", [1, 7, 14])
def test_a_week_of_reports_stays_below_two_thousand_events(steps):
    soak, age, reports = WEEK / steps, timedelta(0), 0
    for step in range(steps):
        while age < soak * (step + 1):
            left = soak * (step + 1) - age
            age += min(left, report_after(age - soak * step, age))
            reports += 1

    assert reports * EVENTS_PER_REPORT < 1_400
