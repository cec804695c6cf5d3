"""What one reading says, and how many have said what."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self, assert_never

from domain.conditions.parser import parse
from domain.conditions.tree import Claim
from domain.conditions.truth import Truth, holds_for_any, holds_for_every
from domain.readings.rules import Reading, ReadingRules


class Outcome(StrEnum):
    """INCONCLUSIVE: neither condition is true. ERROR: there was no answer to ask."""

    SUCCESS = "success"
    FAILURE = "failure"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What makes a reading a success or a failure. The worst of its series counts.

    It succeeds where `success` is true of every series, and fails where `failure` is true of any.
    Of one condition alone, the other is that it is false; unknown it is neither.
    """

    success: Claim | None
    failure: Claim | None

    @classmethod
    def of(cls, rules: ReadingRules) -> Self:
        """Raises ConditionError for rules that `reading_violations` objects to."""
        success, failure = rules.success_condition, rules.failure_condition
        return cls(parse(success) if success else None, parse(failure) if failure else None)

    def outcome(self, reading: Reading) -> Outcome:
        """Where both conditions are true it fails."""
        if reading.error:
            return Outcome.ERROR
        if self._is_failure(reading):
            return Outcome.FAILURE
        return Outcome.SUCCESS if self._is_success(reading) else Outcome.INCONCLUSIVE

    def _is_failure(self, reading: Reading) -> bool:
        if self.failure is not None:
            return holds_for_any(self.failure, reading.series) is Truth.TRUE
        if self.success is not None:
            return holds_for_every(self.success, reading.series) is Truth.FALSE
        return False

    def _is_success(self, reading: Reading) -> bool:
        if self.success is not None:
            return holds_for_every(self.success, reading.series) is Truth.TRUE
        if self.failure is not None:
            return holds_for_any(self.failure, reading.series) is Truth.FALSE
        return False


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many readings there were of each outcome, and how many in a row up to the latest."""

    successes: int = 0
    failures: int = 0
    inconclusive: int = 0
    errors: int = 0
    success_run: int = 0
    failure_run: int = 0
    error_run: int = 0

    @property
    def conclusive(self) -> int:
        return self.successes + self.failures

    @property
    def readings(self) -> int:
        return self.conclusive + self.inconclusive + self.errors

    def add(self, outcome: Outcome) -> None:
        """Anything else ends a run of successes; only a success ends a run of failures.

        A reading that says nothing of the candidate must not help it.
        """
        self.success_run = self.success_run + 1 if outcome is Outcome.SUCCESS else 0
        self.error_run = self.error_run + 1 if outcome is Outcome.ERROR else 0
        match outcome:
            case Outcome.SUCCESS:
                self.successes += 1
                self.failure_run = 0
            case Outcome.FAILURE:
                self.failures += 1
                self.failure_run += 1
            case Outcome.INCONCLUSIVE:
                self.inconclusive += 1
            case Outcome.ERROR:
                self.errors += 1
            case _:
                assert_never(outcome)
