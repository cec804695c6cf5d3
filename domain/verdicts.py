"""What is known about a gate at one moment, in numbers and in sentences."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Four different things. UNDECIDED: not enough data yet. UNAVAILABLE: the store is silent."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDECIDED = "undecided"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The candidate's bad fraction over stable's, with an interval valid at every look.

    All three lie in 1/64..64; `estimate` is None where it is unknown or beyond that.
    """

    estimate: float | None
    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Odds against the null: the e-values, and what each had to reach."""

    fail: float
    fail_needed: float
    pass_: float
    pass_needed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    candidate_requests: int
    candidate_bad: int
    stable_requests: int
    stable_bad: int
    intervals: int
    resets: int
    opened_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One gate's verdict. `reason` says in sentences what was seen and what was required.

    `variant` is the arm of a trial that it is about; empty where only the candidate is judged.
    `doubt` says why no PASS can be given, whatever the evidence; empty where one can.
    """

    gate: str
    status: Status
    reason: str
    effect: Effect | None = None
    evidence: Evidence | None = None
    samples: Samples | None = None
    seconds_to_pass: float | None = None
    variant: str = ""
    doubt: str = ""

    @property
    def named(self) -> str:
        """The gate, with the arm of a trial that it is about."""
        return f"{self.variant} {self.gate}" if self.variant else self.gate
