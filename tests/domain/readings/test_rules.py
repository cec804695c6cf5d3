"""Rules of a gate that reads: what is refused, and in which words."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Violation
from domain.readings.rules import (
    LONGEST_DELAY,
    LONGEST_ERROR,
    LONGEST_INTERVAL,
    MOST_READINGS,
    Reading,
    ReadingRules,
    reading_violations,
)

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 29, tzinfo=UTC)
SUCCESS = "result[0] >= 0.95"


def violations(**rules):
    return list(reading_violations("gates.0", ReadingRules(**rules)))


@pytest.mark.parametrize(
    "rules",
    [
        {"success_condition": SUCCESS},
        {"failure_condition": "result[0] > 1"},
        {"success_condition": SUCCESS, "failure_condition": "result[0] < 0.9"},
        {"success_condition": SUCCESS, "count": 1},
        {"success_condition": SUCCESS, "consecutive_success_limit": 1},
        {"success_condition": SUCCESS, "consecutive_failure_limit": 0, "failure_limit": None},
        {"success_condition": SUCCESS, "interval": MINUTE},
        {"success_condition": SUCCESS, "interval": MINUTE, "count": 5, "failure_limit": 4},
        {"success_condition": SUCCESS, "interval": MINUTE, "failure_limit": 500},
        {
            "success_condition": SUCCESS,
            "interval": LONGEST_INTERVAL,
            "initial_delay": LONGEST_DELAY,
            "count": MOST_READINGS,
            "failure_limit": 3,
            "consecutive_failure_limit": 2,
            "consecutive_success_limit": MOST_READINGS,
            "consecutive_error_limit": 0,
            "inconclusive_limit": 0,
        },
        {
            "success_condition": SUCCESS,
            "interval": MINUTE,
            "failure_limit": None,
            "consecutive_success_limit": 3,
        },
    ],
)
def test_rules_that_make_sense_break_none(rules):
    assert violations(**rules) == []


@pytest.mark.parametrize(
    ("rules", "field", "rule"),
    [
        ({"success_condition": ""}, "success_condition", "must be given, or failure_condition"),
        ({"interval": timedelta(seconds=0.5)}, "interval_seconds", "must lie in 1..86400"),
        ({"interval": LONGEST_INTERVAL + MINUTE}, "interval_seconds", "must lie in 1..86400"),
        ({"initial_delay": -MINUTE}, "initial_delay_seconds", "must lie in 0..604800"),
        ({"initial_delay": LONGEST_DELAY + MINUTE}, "initial_delay_seconds", "must lie in 0..604800"),
        ({"interval": MINUTE, "count": 0}, "count", "must lie in 1..10000"),
        ({"interval": MINUTE, "count": 10_001}, "count", "must lie in 1..10000"),
        ({"interval": MINUTE, "failure_limit": -1}, "failure_limit", "must lie in 0..10000"),
        ({"interval": MINUTE, "consecutive_success_limit": 0}, "consecutive_success_limit", "must lie in 1..10000"),
        ({"consecutive_error_limit": -1}, "consecutive_error_limit", "must lie in 0..10000"),
        ({"inconclusive_limit": -1}, "inconclusive_limit", "must lie in 0..10000"),
        ({"count": 2}, "count", "must be 1 without an interval: one reading is taken"),
        ({"failure_limit": 1}, "failure_limit", "must be at most 0: one reading is taken"),
        ({"consecutive_success_limit": 2}, "consecutive_success_limit", "must be at most 1: one reading is taken"),
        (
            {"interval": MINUTE, "count": 5, "failure_limit": 5},
            "failure_limit",
            "must be at most 4: 5 readings are taken",
        ),
        (
            {"interval": MINUTE, "count": 5, "failure_limit": None, "consecutive_failure_limit": 5},
            "consecutive_failure_limit",
            "must be at most 4: 5 readings are taken",
        ),
        (
            {"interval": MINUTE, "count": 5, "consecutive_success_limit": 6},
            "consecutive_success_limit",
            "must be at most 5: 5 readings are taken",
        ),
        (
            {"interval": MINUTE, "failure_limit": None},
            "failure_limit",
            "must be given, or consecutive_failure_limit: no failure would count",
        ),
        (
            {"interval": MINUTE, "failure_limit": 2, "consecutive_failure_limit": 2},
            "consecutive_failure_limit",
            "must be less than failure_limit, or it never counts: 2 may fail in all",
        ),
    ],
)  # fmt: skip
def test_each_broken_rule_is_named_with_its_field(rules, field, rule):
    assert violations(**{"success_condition": SUCCESS, **rules}) == [
        Violation(f"gates.0.{field}", rule)
    ]


def test_each_condition_is_read():
    broken = violations(success_condition="result[0]", failure_condition="result[0] >")

    assert [one.field for one in broken] == [
        "gates.0.success_condition",
        "gates.0.failure_condition",
    ]
    assert all(one.rule.startswith("must be a condition") for one in broken)


def test_an_error_is_text_that_can_be_kept_whatever_it_quotes():
    failed = Reading.failed(NOW, ValueError("a\0\ud800\n" + "x" * LONGEST_ERROR))
    assert failed == Reading(at=NOW, error="a   " + "x" * (LONGEST_ERROR - 4))
    assert Reading.failed(NOW, ValueError()).error == "ValueError"
