"""What is known about a gate at one moment, in numbers and in sentences."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

_NOT_KEPT = "the registry that keeps the evidence is away, and nothing advances on what is not kept"


class Status(StrEnum):
    """Four different things. UNDECIDED: not enough data yet. UNAVAILABLE: the store is silent."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDECIDED = "undecided"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The candidate's bad fraction over stable's, with an interval valid at every look.

    All three lie in 1/64..64; `estimate` is None where it is unknown or beyond that. The margins
    are those of the gate; None where it does not compare with stable.
    """

    estimate: float | None
    low: float
    high: float
    level: float
    fail_ratio: float | None = None
    pass_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absolute:
    """Both bad fractions as counted, and the interval of the candidate's, valid at every look.

    `difference_points` are percentage points, the candidate's less stable's. What is None is not
    known, or not asked for: `floor` is that of `against_stable`, `limit` that of the gate.
    """

    candidate: float
    low: float
    high: float
    level: float
    stable: float | None = None
    difference_points: float | None = None
    floor: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Odds against the null: the e-values, and what each had to reach.

    `p_always_valid` is 1 over the highest odds for FAIL so far, at most 1: a p-value at any look,
    to be held against `alpha` / `gates_in_family`. That many rules share one `alpha`; the odds are
    those of the strongest of the `rules` that are this gate's own.
    """

    fail: float
    fail_needed: float
    pass_: float
    pass_needed: float
    p_always_valid: float | None = None
    alpha: float | None = None
    gates_in_family: int | None = None
    rules: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The candidate's share of the requests of a step: due by the weights, and observed.

    `odds` are those against the weights, at their highest so far; from `odds_needed` on, the split
    is in doubt where it is off by enough to matter.
    """

    expected: float
    observed: float
    odds: float
    odds_needed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the counts are. `phi` divides the evidence, `phi_source` says where it comes from.

    `flags` are short texts for what may surprise, such as "resets 2"; empty where all is well.
    """

    phi: float = 1.0
    phi_source: str = ""
    flags: tuple[str, ...] = ()
    split: Shares | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWeight:
    """How long a PASS would take from now on at another weight of the candidate, in percent."""

    weight: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is expected if all goes on as it does, beside `Verdict.seconds_to_pass`.

    `seconds_to_fail` is None where a FAIL is not in sight. For people: it decides nothing.
    """

    seconds_to_fail: float | None = None
    at_weight: tuple[AtWeight, ...] = ()


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
    `look` is the number of the interval that it rests on, counted from 1 as they are stored, and
    `decided_at` is when that interval closed; None while nothing is decided. Of a gate that is
    judged by readings, `look` is the number of the reading that has made its status what it is.
    `is_unkept`: it is UNAVAILABLE only since the registry does not keep what it rests on.
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
    absolute: Absolute | None = None
    quality: Quality | None = None
    forecast: Forecast | None = None
    look: int | None = None
    decided_at: datetime | None = None
    is_unkept: bool = False

    @property
    def unkept(self) -> "Verdict":
        """The same while the registry does not keep what it rests on: a PASS is none yet."""
        if self.status is not Status.PASS:
            return self
        reason = f"{self.reason} But {_NOT_KEPT}."
        return replace(self, status=Status.UNAVAILABLE, reason=reason, is_unkept=True)

    @property
    def named(self) -> str:
        """The gate, with the arm of a trial that it is about."""
        return f"{self.variant} {self.gate}" if self.variant else self.gate
