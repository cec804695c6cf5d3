"""A gate without statistics, as people write it and as a plan shows it."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from api.schemas.comparisons import Body
from api.schemas.fields import Fraction, Incoming, Label, Seconds, printable, readable
from domain.hooks import LONGEST_URL
from domain.json_path import LONGEST_PATH
from domain.reading_gates import (
    LONGEST_QUERY,
    CostQuestion,
    CostUnit,
    PromQuery,
    Question,
    ReadingGate,
)
from domain.readings.rules import MOST_READINGS, ReadingRules
from domain.web_questions import LONGEST_HEADER, MOST_HEADERS, WebQuestion

_RULES = ReadingRules()
_WEB = WebQuestion(url="", json_path="$")
_COST = CostQuestion(per=CostUnit.REQUEST)
# What says which question a reading gate asks.
KINDS = ("query", "web", "cost")
# In place of the values of headers, which may be secrets.
HIDDEN = "(hidden)"
Count = Annotated[int, Field(strict=True, ge=1, le=MOST_READINGS)]
Tolerated = Annotated[int, Field(strict=True, ge=0, le=MOST_READINGS)]
Query = Annotated[str, Field(min_length=1, max_length=LONGEST_QUERY), AfterValidator(readable)]
Path = Annotated[str, Field(max_length=LONGEST_PATH), AfterValidator(readable)]
Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL), AfterValidator(printable)]
Condition = Annotated[str, Field(max_length=500)]


def _known(headers: dict[str, str]) -> dict[str, str]:
    if hidden := [name for name, value in headers.items() if value == HIDDEN]:
        raise ValueError(f"{', '.join(hidden)} was shown hidden: give the value again")
    return headers


Headers = Annotated[
    dict[Annotated[str, Field(max_length=256)], Annotated[str, Field(max_length=LONGEST_HEADER)]],
    Field(max_length=MOST_HEADERS),
    AfterValidator(_known),
]


def require_one_kind(given: Any) -> Any:
    """Raise ValueError unless a gate says exactly one thing that it asks."""
    kinds = ("metric", *KINDS)
    if isinstance(given, dict):
        said = [kind for kind in kinds if given.get(kind) is not None]
        if len(said) != 1:
            found = " and ".join(said) or "none"
            raise ValueError(f"must have exactly one of {', '.join(kinds)}; found {found}")
    return given


class WebBody(Incoming):
    """A URL that answers JSON, and where in it the numbers are."""

    url: Url = Field(description="http or https, at a host that the installation allows.")
    json_path: Path = Field(
        description="Such as `$.data[0].score`; several matches are several series."
    )
    method: Literal["GET", "POST"] = "GET"
    headers: Headers = Field(
        default_factory=dict, description=f"Shown as `{HIDDEN}`: they may be secrets."
    )
    body: Body | None = Field(default=None, description="What is posted.")
    timeout_seconds: Seconds = Field(
        default=_WEB.timeout.total_seconds(), description="For one answer, in full; 1 to 60."
    )

    def to_domain(self) -> WebQuestion:
        return WebQuestion(
            url=self.url,
            json_path=self.json_path,
            method=self.method,
            headers=tuple(self.headers.items()),
            body="" if self.body is None else json.dumps(self.body, separators=(",", ":")),
            timeout=timedelta(seconds=self.timeout_seconds),
        )

    @classmethod
    def from_domain(cls, question: WebQuestion) -> "WebBody":
        """As it is shown, which is not as it could be asked for: secrets are hidden."""
        return cls.model_construct(
            url=question.url,
            json_path=question.json_path,
            method="POST" if question.method == "POST" else "GET",
            headers={name: HIDDEN for name, _ in question.headers},
            body=json.loads(question.body) if question.body else None,
            timeout_seconds=question.timeout.total_seconds(),
        )


class CostBody(Incoming):
    """What the candidate's tokens cost, by the configured price of the model."""

    per: CostUnit
    window_seconds: Seconds = Field(
        default=_COST.window.total_seconds(), description="What is counted, before each reading."
    )
    limit: Fraction | None = Field(
        default=None, description="The largest acceptable cost, in the currency of the price."
    )
    times_stable: Fraction | None = Field(
        default=None, description="At most so many times what stable costs in the same window."
    )

    def to_domain(self) -> CostQuestion:
        return CostQuestion(
            per=self.per,
            window=timedelta(seconds=self.window_seconds),
            limit=self.limit,
            times_stable=self.times_stable,
        )

    @classmethod
    def from_domain(cls, question: CostQuestion) -> Self:
        return cls(
            per=question.per,
            window_seconds=question.window.total_seconds(),
            limit=question.limit,
            times_stable=question.times_stable,
        )


def without_secrets(gate: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A gate as it was written, without the values of headers."""
    web = gate.get("web")
    if not isinstance(web, dict) or not isinstance(headers := web.get("headers"), dict):
        return dict(gate)
    return {**gate, "web": {**web, "headers": dict.fromkeys(headers, HIDDEN)}}


class ReadingGateBody(Incoming):
    """A gate without statistics: a question, and conditions on its answers."""

    name: Label
    query: Query | None = Field(
        default=None, description="PromQL; `{{candidate.workload}}` and others are filled in."
    )
    web: WebBody | None = Field(default=None, description="A URL whose answer holds the numbers.")
    cost: CostBody | None = Field(
        default=None, description="What the answers cost; it has its limit in place of conditions."
    )
    success_condition: Condition = Field(
        default=_RULES.success_condition,
        description="True of every series where a reading succeeds.",
    )
    failure_condition: Condition = Field(
        default=_RULES.failure_condition, description="True of any series where a reading fails."
    )
    interval_seconds: Seconds | None = Field(
        default=None, description="From one reading to the next; left out: one is taken."
    )
    initial_delay_seconds: Seconds = Field(
        default=_RULES.initial_delay.total_seconds(), description="Before the first."
    )
    count: Count | None = Field(
        default=_RULES.count, description="How many conclusive readings are taken at a step."
    )
    failure_limit: Tolerated | None = Field(
        default=_RULES.failure_limit,
        description="How many failures are tolerated; null: any number.",
    )
    consecutive_failure_limit: Tolerated | None = Field(
        default=_RULES.consecutive_failure_limit, description="How many of them in a row."
    )
    consecutive_success_limit: Count | None = Field(
        default=_RULES.consecutive_success_limit, description="So many in a row are a PASS."
    )
    consecutive_error_limit: Tolerated = Field(
        default=_RULES.consecutive_error_limit,
        description="How many errors in a row are tolerated; one more is UNAVAILABLE.",
    )
    inconclusive_limit: Tolerated | None = Field(
        default=_RULES.inconclusive_limit, description="How many inconclusive ones are tolerated."
    )
    critical: bool = Field(
        default=True, description="A FAIL of one that is not pauses where another rolls back."
    )
    dry_run: bool = Field(default=False, description="Judged and shown, it decides nothing.")

    _one_kind = model_validator(mode="before")(require_one_kind)

    @model_validator(mode="after")
    def _has_one_limit(self) -> Self:
        if self.cost is not None and (self.success_condition or self.failure_condition):
            raise ValueError("has a cost, whose limit is its condition: leave the conditions out")
        return self

    def to_domain(self) -> ReadingGate:
        question = self._question()
        return ReadingGate(
            name=self.name,
            question=question,
            rules=self._rules(question),
            critical=self.critical,
            dry_run=self.dry_run,
        )

    def _question(self) -> Question:
        if self.cost is not None:
            return self.cost.to_domain()
        if self.web is not None:
            return self.web.to_domain()
        return PromQuery(query=self.query or "")

    def _rules(self, question: Question) -> ReadingRules:
        every = self.interval_seconds
        success = self.success_condition
        if isinstance(question, CostQuestion):
            success = question.condition
        return ReadingRules(
            success_condition=success,
            failure_condition=self.failure_condition,
            interval=None if every is None else timedelta(seconds=every),
            initial_delay=timedelta(seconds=self.initial_delay_seconds),
            count=self.count,
            failure_limit=self.failure_limit,
            consecutive_failure_limit=self.consecutive_failure_limit,
            consecutive_success_limit=self.consecutive_success_limit,
            consecutive_error_limit=self.consecutive_error_limit,
            inconclusive_limit=self.inconclusive_limit,
        )

    @classmethod
    def from_domain(cls, gate: ReadingGate) -> Self:
        rules, question = gate.rules, gate.question
        cost = question if isinstance(question, CostQuestion) else None
        web = question if isinstance(question, WebQuestion) else None
        return cls(
            name=gate.name,
            query=question.query if isinstance(question, PromQuery) else None,
            web=None if web is None else WebBody.from_domain(web),
            cost=None if cost is None else CostBody.from_domain(cost),
            success_condition="" if cost else rules.success_condition,
            failure_condition=rules.failure_condition,
            interval_seconds=None if rules.interval is None else rules.interval.total_seconds(),
            initial_delay_seconds=rules.initial_delay.total_seconds(),
            count=rules.count,
            failure_limit=rules.failure_limit,
            consecutive_failure_limit=rules.consecutive_failure_limit,
            consecutive_success_limit=rules.consecutive_success_limit,
            consecutive_error_limit=rules.consecutive_error_limit,
            inconclusive_limit=rules.inconclusive_limit,
            critical=gate.critical,
            dry_run=gate.dry_run,
        )
