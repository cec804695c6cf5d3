"""How often a watcher reports: often in a short soak, hourly in a long one."""

from datetime import timedelta

import pytest

from workflows.timeouts import report_after


@pytest.mark.parametrize(
    ("soak", "expected"),
    [
        (timedelta(seconds=30), timedelta(seconds=15)),
        (timedelta(hours=1), timedelta(seconds=72)),
        (timedelta(days=7), timedelta(hours=1)),
    ],
)
def test_reports_are_spaced_by_the_length_of_the_soak(soak, expected):
    assert report_after(soak) == expected
