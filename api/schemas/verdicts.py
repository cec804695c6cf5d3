"""A gate's verdict as the API shows it: what was seen and required, and what is to be expected."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import ConfigDict, Field

from api.schemas.fields import Outgoing
from domain.evidence.e_bh import standing_among
from domain.verdicts import Status, Verdict


class Read(Outgoing):
    model_config = ConfigDict(from_attributes=True, ser_json_inf_nan="null")


class EffectOut(Read):
    """The candidate's bad fraction over stable's; an end of the interval without bound is null."""

    estimate: float | None
    low: float | None
    high: float | None
    level: float


class EvidenceOut(Read):
    """Odds against the null, and what each has to reach."""

    fail: float | None
    fail_needed: float | None
    pass_: float | None = Field(serialization_alias="pass")
    pass_needed: float | None


class VerdictEffectOut(EffectOut):
    """With the gate's margins; null where it does not compare with stable."""

    fail_ratio: float | None
    pass_ratio: float | None


class AbsoluteOut(Read):
    """Both bad fractions, and the interval of the candidate's, `low` to `high`."""

    candidate: float
    stable: float | None
    difference_points: float | None = Field(description="Percentage points.")
    low: float
    high: float
    level: float
    floor: float | None
    limit: float | None


class VerdictEvidenceOut(EvidenceOut):
    """With what the odds for a FAIL amount to as a p-value that is valid at any look."""

    p_always_valid: float | None = Field(
        description="1 over the highest odds for FAIL; to be held against alpha / gates_in_family."
    )
    alpha: float | None
    gates_in_family: int | None = Field(description="How many rules share one alpha.")


class SamplesOut(Read):
    candidate_requests: int
    candidate_bad: int
    stable_requests: int
    stable_bad: int
    intervals: int
    resets: int
    opened_at: datetime | None
    closed_at: datetime | None


class SharesOut(Read):
    """The candidate's share of the requests of the step, and the odds against the weights."""

    expected: float
    observed: float
    odds: float
    odds_needed: float


class QualityOut(Read):
    """How good the counts are."""

    phi: float = Field(description="What the evidence is divided by, as bad requests cluster.")
    phi_source: str
    flags: list[str] = Field(description="What may surprise, such as `resets 2`.")
    split: SharesOut | None = Field(description="Null where no split is checked.")


class ForecastOut(Read):
    """If all goes on as it does; null where it is not in sight. For people: decides nothing."""

    seconds_to_pass: float | None
    seconds_to_fail: float | None
    at_weight: dict[int, float] = Field(
        description="Seconds to a PASS from now on, by the candidate's weight in percent."
    )

    @classmethod
    def of(cls, verdict: Verdict) -> Self | None:
        found = verdict.forecast
        if found is None and verdict.seconds_to_pass is None:
            return None
        return cls(
            seconds_to_pass=verdict.seconds_to_pass,
            seconds_to_fail=found and found.seconds_to_fail,
            at_weight={each.weight: each.seconds for each in found.at_weight} if found else {},
        )


class VerdictOut(Outgoing):
    """What is known about a gate; what is null is not known, or not of this gate."""

    gate: str
    variant: str = Field(description="The arm of an ab_test that it is about, else empty.")
    status: Status
    reason: str
    doubt: str = Field(description="Why no PASS can be given, whatever the evidence; else empty.")
    look: int | None = Field(
        description="The number of the interval that it rests on, from 1; or of the reading that "
        "has made the status what it is."
    )
    decided_at: datetime | None = Field(description="When that closed; null while undecided.")
    effect: VerdictEffectOut | None
    absolute: AbsoluteOut | None
    evidence: VerdictEvidenceOut | None
    stands_among_all: bool | None = Field(
        description="Whether the FAIL would stand by e-BH among all verdicts; decides nothing."
    )
    samples: SamplesOut | None
    quality: QualityOut | None
    forecast: ForecastOut | None
    seconds_to_pass: float | None

    @classmethod
    def from_domain(cls, verdict: Verdict, *, stands: bool | None = None) -> Self:
        return cls(
            gate=verdict.gate,
            variant=verdict.variant,
            status=verdict.status,
            reason=verdict.reason,
            doubt=verdict.doubt,
            look=verdict.look,
            decided_at=verdict.decided_at,
            effect=verdict.effect and VerdictEffectOut.model_validate(verdict.effect),
            absolute=verdict.absolute and AbsoluteOut.model_validate(verdict.absolute),
            evidence=verdict.evidence and VerdictEvidenceOut.model_validate(verdict.evidence),
            stands_among_all=stands,
            samples=verdict.samples and SamplesOut.model_validate(verdict.samples),
            quality=verdict.quality and QualityOut.model_validate(verdict.quality),
            forecast=ForecastOut.of(verdict),
            seconds_to_pass=verdict.seconds_to_pass,
        )

    @classmethod
    def listed(cls, verdicts: Sequence[Verdict]) -> list[Self]:
        """Verdicts that are shown together, each with whether it stands among them."""
        found = zip(verdicts, standing_among(verdicts), strict=True)
        return [cls.from_domain(verdict, stands=stands) for verdict, stands in found]
