"""The comparison of a shadow's answers, as it is asked for and as it is shown."""

import json
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue

from api.schemas.fields import Fraction, Incoming, Name, Outgoing, Seconds
from domain.comparison import (
    MOST_REQUESTS,
    By,
    Comparison,
    SampleRequest,
    Similarity,
)
from domain.strategies.comparisons import MOST_IGNORED

_COMPARISON = Comparison(sample=(), by=By.EXACT)
# What two servers say differently of one and the same answer.
IGNORED = ("id", "created", "model_version")
THRESHOLD, TOLERANCE = 0.9, 0.001


def _sendable(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("must hold no half of a surrogate pair, which is no character") from error
    except ValueError as error:
        raise ValueError("must hold no NaN and no Infinity, which JSON does not know") from error
    return body


Body = Annotated[dict[str, JsonValue], AfterValidator(_sendable)]


class SampleRequestIn(Incoming):
    """One request, as a client would send it."""

    path: Name = Field(
        description="`/v1/models/<service>:predict` or `/v2/models/<service>/infer`, as the "
        "service's protocol has it."
    )
    body: Body = Field(description="What is posted there.")

    def to_domain(self) -> SampleRequest:
        return SampleRequest(path=self.path, body=json.dumps(self.body, separators=(",", ":")))


class CompareIn(Incoming):
    """Both are asked the same, and their answers must agree."""

    sample: list[SampleRequestIn] = Field(
        max_length=MOST_REQUESTS, description="1 to 200 requests, each asked once; 64 KiB in all."
    )
    by: By = Field(description="What is compared; all but `status` demand the same status first.")
    similarity: Similarity | None = Field(default=None, description="For `similarity`: of what.")
    threshold: Fraction | None = Field(
        default=None, description="For `length`, `text` and `words`: the least; left out: 0.9."
    )
    tolerance: Fraction | None = Field(
        default=None, description="For `numbers`: by how much each may differ; left out: 0.001."
    )
    limit: Fraction = Field(
        default=_COMPARISON.limit, description="The largest acceptable fraction that differs."
    )
    alpha: Fraction = Field(
        default=_COMPARISON.alpha, description="Bound on the chance of a false early FAIL."
    )
    beta: Fraction = Field(
        default=_COMPARISON.beta, description="Bound on the chance of a false early PASS."
    )
    ignore: list[Name] = Field(
        default=list(IGNORED),
        max_length=MOST_IGNORED,
        description="Fields of JSON answers that are not compared, such as `usage.total_tokens`.",
    )
    every_seconds: Seconds = Field(
        default=_COMPARISON.every.total_seconds(), description="How often a pair is asked for."
    )
    timeout_seconds: Seconds = Field(
        default=_COMPARISON.timeout.total_seconds(), description="For one answer; 1 to 60."
    )

    def to_domain(self) -> Comparison:
        asked = Comparison(
            sample=tuple(request.to_domain() for request in self.sample),
            by=self.by,
            similarity=self.similarity,
            threshold=self.threshold,
            tolerance=self.tolerance,
            limit=self.limit,
            alpha=self.alpha,
            beta=self.beta,
            ignore=tuple(self.ignore),
            every=timedelta(seconds=self.every_seconds),
            timeout=timedelta(seconds=self.timeout_seconds),
        )
        return asked.with_defaults(threshold=THRESHOLD, tolerance=TOLERANCE)


class ComparisonOut(Outgoing):
    """A comparison without its sample, which may be large."""

    requests: int = Field(description="How many the sample holds.")
    by: By
    similarity: Similarity | None
    threshold: float | None
    tolerance: float | None
    limit: float
    alpha: float
    beta: float
    ignore: list[str]
    every_seconds: float
    timeout_seconds: float

    @classmethod
    def from_domain(cls, comparison: Comparison) -> Self:
        return cls(
            requests=len(comparison.sample),
            by=comparison.by,
            similarity=comparison.similarity,
            threshold=comparison.threshold,
            tolerance=comparison.tolerance,
            limit=comparison.limit,
            alpha=comparison.alpha,
            beta=comparison.beta,
            ignore=list(comparison.ignore),
            every_seconds=comparison.every.total_seconds(),
            timeout_seconds=comparison.timeout.total_seconds(),
        )
