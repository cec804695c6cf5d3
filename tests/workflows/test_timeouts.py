"""How often a look reports: often at first, ever more rarely the longer it lasts."""

from datetime import timedelta

import pytest

from workflows.timeouts import report_after

# Activity scheduled, started, completed; workflow task scheduled, started, completed.
EVENTS_PER_REPORT = 6


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=0), timedelta(seconds=15)),
        (timedelta(minutes=10), timedelta(minutes=1)),
        (timedelta(days=7), timedelta(hours=2)),
    ],
)
def test_a_look_reports_ever_more_rarely(age, expected):
    assert report_after(age) == expected


def test_a_week_of_reports_stays_below_two_thousand_events():
    age, reports = timedelta(0), 0
    while age < timedelta(days=7):
        age += report_after(age)
        reports += 1

    assert reports * EVENTS_PER_REPORT < 1_200
