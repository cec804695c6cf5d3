"""What is asked of the readings of one gate, and how many may say otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from domain.conditions.parser import condition_violations
from domain.errors import Violation

SHORTEST_INTERVAL, LONGEST_INTERVAL = timedelta(seconds=1), timedelta(days=1)
LONGEST_DELAY = timedelta(days=7)
MOST_READINGS = 10_000
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a query answered at one moment: a value for each of its series, or an error.

    The order of the series means nothing. Where there is an error, nothing else counts.
    """

    at: datetime
    series: tuple[float, ...] = ()
    error: str = ""

    @classmethod
    def failed(cls, at: datetime, error: Exception) -> Self:
        """One without an answer. The error may quote another system, and so hold any character."""
        said = str(error)[:LONGEST_ERROR] or type(error).__name__
        return cls(at=at, error="".join(one if one.isprintable() else " " for one in said))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """When a reading succeeds or fails, and how many of each make a verdict.

    A condition that is empty is not asked. `count` is of conclusive readings: those that succeed
    or fail. Without `interval` one of these is taken, without `count` as many as there is time for.

    The limits are what is tolerated: one more is too many. None tolerates any number. Only
    `consecutive_success_limit` is a goal, reached at the number itself.
    """

    success_condition: str = ""
    failure_condition: str = ""
    interval: timedelta | None = None
    initial_delay: timedelta = timedelta(0)
    count: int | None = None
    failure_limit: int | None = 0
    consecutive_failure_limit: int | None = None
    consecutive_success_limit: int | None = None
    consecutive_error_limit: int = 4
    inconclusive_limit: int | None = None

    @property
    def wanted(self) -> int | None:
        """How many conclusive readings are taken in all; None for no end."""
        return 1 if self.interval is None else self.count

    @property
    def fewest(self) -> int:
        """How many readings a PASS takes if all of them succeed."""
        return self.consecutive_success_limit or self.wanted or 1

    @property
    def earliest_pass(self) -> timedelta:
        """When the last of these is due, from the step's beginning."""
        return self.initial_delay + (self.fewest - 1) * (self.interval or timedelta(0))


def reading_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    """Every rule that the rules of one gate break, those included that could never count."""
    yield from _condition_violations(at, rules)
    yield from _time_violations(at, rules)
    yield from _range_violations(at, rules)
    yield from _count_violations(at, rules)
    yield from _limit_violations(at, rules)


def _condition_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    if not rules.success_condition and not rules.failure_condition:
        yield Violation(f"{at}.success_condition", "must be given, or failure_condition")
    if rules.success_condition:
        yield from condition_violations(f"{at}.success_condition", rules.success_condition)
    if rules.failure_condition:
        yield from condition_violations(f"{at}.failure_condition", rules.failure_condition)


def _time_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    for name, value, least, most in (
        ("interval", rules.interval, SHORTEST_INTERVAL, LONGEST_INTERVAL),
        ("initial_delay", rules.initial_delay, timedelta(0), LONGEST_DELAY),
    ):
        if value is not None and not least <= value <= most:
            rule = f"must lie in {least.total_seconds():.0f}..{most.total_seconds():.0f}"
            yield Violation(f"{at}.{name}_seconds", rule)


def _range_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    for name, value, least in (
        ("count", rules.count, 1),
        ("failure_limit", rules.failure_limit, 0),
        ("consecutive_failure_limit", rules.consecutive_failure_limit, 0),
        ("consecutive_success_limit", rules.consecutive_success_limit, 1),
        ("consecutive_error_limit", rules.consecutive_error_limit, 0),
        ("inconclusive_limit", rules.inconclusive_limit, 0),
    ):
        if value is not None and not least <= value <= MOST_READINGS:
            yield Violation(f"{at}.{name}", f"must lie in {least}..{MOST_READINGS}")


def _count_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    """What asks for more readings than are taken."""
    if rules.interval is None and rules.count not in (None, 1):
        yield Violation(f"{at}.count", "must be 1 without an interval: one reading is taken")
    if rules.wanted is None or rules.wanted < 1:
        return
    for name, value, needed in (
        ("failure_limit", rules.failure_limit, 1),
        ("consecutive_failure_limit", rules.consecutive_failure_limit, 1),
        ("consecutive_success_limit", rules.consecutive_success_limit, 0),
    ):
        if value is not None and value + needed > rules.wanted:
            rule = f"must be at most {rules.wanted - needed}: {_taken(rules.wanted)}"
            yield Violation(f"{at}.{name}", rule)


def _taken(wanted: int) -> str:
    return "one reading is taken" if wanted == 1 else f"{wanted} readings are taken"


def _limit_violations(at: str, rules: ReadingRules) -> Iterator[Violation]:
    total, row = rules.failure_limit, rules.consecutive_failure_limit
    if total is None and row is None and rules.consecutive_success_limit is None:
        rule = "must be given, or consecutive_failure_limit: no failure would count"
        yield Violation(f"{at}.failure_limit", rule)
    if total is not None and row is not None and row >= total:
        rule = f"must be less than failure_limit, or it never counts: {total} may fail in all"
        yield Violation(f"{at}.consecutive_failure_limit", rule)
