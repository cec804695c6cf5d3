"""Gates without statistics: a question that is asked again and again, and rules on its answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from domain.errors import Violation
from domain.gates import Gate
from domain.promql_text import QueryTextError, Value, filled_in
from domain.readings.rules import ReadingRules, reading_violations

# A query travels in a URL, and proxies take about 8 kB.
LONGEST_QUERY = 4000
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


Question = PromQuery


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
    yield from question_violations(at, gate.question)
    yield from reading_violations(at, gate.rules)


def question_violations(at: str, question: Question) -> Iterator[Violation]:
    match question:
        case PromQuery():
            yield from _query_violations(f"{at}.query", question.query)
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
