"""The rules of a comparison of answers."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

from domain.comparison import (
    ANSWERS,
    MOST_REQUESTS,
    MOST_SAMPLE_BYTES,
    By,
    Comparison,
    path_of,
)
from domain.errors import Violation
from domain.reading_gates import AnyGate
from domain.strategies.gate_rules import odds_violations
from domain.traffic import Route

MOST_IGNORED = 50
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=0.1), timedelta(hours=1)
SHORTEST_TIMEOUT, LONGEST_TIMEOUT = timedelta(seconds=1), timedelta(minutes=1)


def comparison_violations(
    at: str, comparison: Comparison, route: Route, gates: Sequence[AnyGate]
) -> Iterator[Violation]:
    yield from _sample_violations(f"{at}.sample", comparison, route)
    yield from _measure_violations(at, comparison)
    yield from odds_violations(at, comparison.alpha, comparison.beta)
    if not 0 <= comparison.limit < 1:
        yield Violation(f"{at}.limit", "must be a fraction of answers, from 0 to below 1")
    yield from _ignore_violations(f"{at}.ignore", comparison.ignore)
    if not SHORTEST_WAIT <= comparison.every <= LONGEST_WAIT:
        yield Violation(f"{at}.every_seconds", "must lie in 0.1..3600")
    if not SHORTEST_TIMEOUT <= comparison.timeout <= LONGEST_TIMEOUT:
        yield Violation(f"{at}.timeout_seconds", "must lie in 1..60")
    for i, gate in enumerate(gates):
        if gate.name == ANSWERS:
            yield Violation(f"gates.{i}.name", f"{ANSWERS!r} names the comparison already")


def _sample_violations(at: str, comparison: Comparison, route: Route) -> Iterator[Violation]:
    sample, path = comparison.sample, path_of(route.protocol, route.model)
    if not 1 <= len(sample) <= MOST_REQUESTS:
        yield Violation(at, f"must hold 1 to {MOST_REQUESTS} requests, not {len(sample)}")
    size = sum(len(request.body.encode()) for request in sample)
    if size > MOST_SAMPLE_BYTES:
        yield Violation(at, f"must not have more than {MOST_SAMPLE_BYTES} bytes of bodies in all")
    for i, request in enumerate(sample):
        # No other path can be meant, and none but this one leads where a shadow is compared.
        if path and request.path != path:
            yield Violation(f"{at}.{i}.path", f"must be {path}")


def _measure_violations(at: str, comparison: Comparison) -> Iterator[Violation]:
    by_similarity = comparison.by is By.SIMILARITY
    if by_similarity and comparison.similarity is None:
        yield Violation(f"{at}.similarity", "must be text, words or numbers")
    if not by_similarity and comparison.similarity is not None:
        yield Violation(f"{at}.similarity", "belongs to by similarity only")
    threshold, tolerance = comparison.threshold, comparison.tolerance
    if threshold is not None and not comparison.needs_threshold:
        rule = "belongs to by length and to the similarities text and words only"
        yield Violation(f"{at}.threshold", rule)
    elif comparison.needs_threshold and not 0 < (threshold or 0) <= 1:
        yield Violation(f"{at}.threshold", "must lie above 0 and be at most 1")
    if tolerance is not None and not comparison.needs_tolerance:
        yield Violation(f"{at}.tolerance", "belongs to the similarity numbers only")
    elif comparison.needs_tolerance and not 0 <= (math.nan if tolerance is None else tolerance) < 1:
        yield Violation(f"{at}.tolerance", "must lie in 0..1, without 1")


def _ignore_violations(at: str, ignore: Sequence[str]) -> Iterator[Violation]:
    if len(ignore) > MOST_IGNORED:
        yield Violation(at, f"must be at most {MOST_IGNORED}")
    for i, field in enumerate(ignore):
        if not all(field.split(".")):
            yield Violation(f"{at}.{i}", "must name a field, such as usage.total_tokens")
