"""Gates without statistics: a question that is asked again and again, and rules on its answers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal, assert_never

from domain.allowed_hosts import AllowedHosts
from domain.errors import Violation
from domain.gates import Gate
from domain.prices import TokenPrice
from domain.promql_text import QueryTextError, Value, filled_in
from domain.readings.rules import ReadingRules, reading_violations
from domain.web_questions import WebQuestion, host_violations, web_violations

# A query travels in a URL, and proxies take about 8 kB.
LONGEST_QUERY = 4000
SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(seconds=5), timedelta(days=30)
# What a question may name, each with a value that shows where it can stand.
PLACEHOLDERS: Mapping[str, Value] = {
    "candidate.name": "canary",
    "candidate.workload": "chat-v2",
    "stable.name": "stable",
    "stable.workload": "chat-v1",
    "namespace": "serving",
    "model": "chat",
    "project": "11111111-1111-4111-8111-111111111111",
    "weight": 10,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromQuery:
    """A query in PromQL, with the placeholders that are filled in when it is asked."""

    query: str
    kind: Literal["query"] = "query"


class CostUnit(StrEnum):
    """What a cost is told for: one answer, or 1,000 tokens of requests and answers."""

    REQUEST = "request"
    THOUSAND_TOKENS = "thousand_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostQuestion:
    """What the candidate's tokens cost in the `window` before a reading, by a pinned price.

    It is held against a `limit` in the price's currency, or against stable's in the same window, of
    which it may be at most so many times.
    """

    per: CostUnit
    window: timedelta = timedelta(minutes=5)
    limit: float | None = None
    times_stable: float | None = None
    price: TokenPrice | None = None
    kind: Literal["cost"] = "cost"

    @property
    def condition(self) -> str:
        """What must be true of its answer; there is one number in it."""
        most = self.limit if self.times_stable is None else self.times_stable
        return "" if most is None else f"result[0] <= {float(most)!r}"


Question = PromQuery | WebQuestion | CostQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingGate:
    """A question about the candidate, and what its answers must be.

    One that is not `critical` pauses where another rolls back; one in a `dry_run` decides nothing.
    """

    name: str
    question: Question
    rules: ReadingRules
    critical: bool = True
    dry_run: bool = False


AnyGate = Gate | ReadingGate


def reading_gate_violations(at: str, gate: ReadingGate) -> Iterator[Violation]:
    """Every rule that one gate breaks, but for those of its name."""
    broken = tuple(question_violations(at, gate.question))
    yield from broken
    if isinstance(gate.question, CostQuestion) and broken:
        return  # what is wrong with its limit is wrong with its condition
    yield from reading_violations(at, gate.rules)


def web_gate_violations(gates: Sequence[AnyGate], allowed: AllowedHosts) -> Iterator[Violation]:
    """Whether each gate that asks a URL may go where it leads."""
    for i, gate in enumerate(gates):
        if isinstance(gate, ReadingGate) and isinstance(gate.question, WebQuestion):
            yield from host_violations(f"gates.{i}.web", gate.question, allowed)


def question_violations(at: str, question: Question) -> Iterator[Violation]:
    match question:
        case PromQuery():
            yield from _query_violations(f"{at}.query", question.query)
        case WebQuestion():
            yield from web_violations(f"{at}.web", question, PLACEHOLDERS)
        case CostQuestion():
            yield from _cost_violations(f"{at}.cost", question)
        case _:
            assert_never(question)


def _query_violations(at: str, query: str) -> Iterator[Violation]:
    if not query.strip():
        yield Violation(at, "must ask something")
    if len(query) > LONGEST_QUERY:
        yield Violation(at, f"must have at most {LONGEST_QUERY} characters")
        return
    try:
        filled_in(query, PLACEHOLDERS)
    except QueryTextError as error:
        yield Violation(at, str(error))


def _cost_violations(at: str, question: CostQuestion) -> Iterator[Violation]:
    if not SHORTEST_WINDOW <= question.window <= LONGEST_WINDOW:
        low, high = (span.total_seconds() for span in (SHORTEST_WINDOW, LONGEST_WINDOW))
        yield Violation(f"{at}.window_seconds", f"must lie in {low:.0f}..{high:.0f}")
    if (question.limit is None) == (question.times_stable is None):
        yield Violation(at, "must have exactly one of limit and times_stable")
    for name, value in (("limit", question.limit), ("times_stable", question.times_stable)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            yield Violation(f"{at}.{name}", "must be above 0")
