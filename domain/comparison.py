"""A sample of requests that stable and the shadow are both asked, and what came of it.

Copies that the gateway makes are answered into the void: to compare answers, both are asked again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from domain.workloads import Protocol

# The name of the verdict, beside those of the gates.
ANSWERS = "answers"
MOST_REQUESTS = 200
# Every order to watch carries the plan, and with it the sample, into the workflow's history.
MOST_SAMPLE_BYTES = 64 * 1024


class By(StrEnum):
    """By what two answers are compared. All but STATUS demand the same status first."""

    STATUS = "status"
    LENGTH = "length"
    EXACT = "exact"
    SIMILARITY = "similarity"


class Similarity(StrEnum):
    """TEXT goes by groups of three letters, WORDS by words, NUMBERS by the numbers alone."""

    TEXT = "text"
    WORDS = "words"
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRequest:
    """One POST of the sample; `body` is JSON."""

    path: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is asked, and how much of it may be answered otherwise.

    Two answers agree by length or by a similarity of texts where it reaches `threshold`, by numbers
    where each differs by `tolerance` at most. `limit` is the largest acceptable fraction of answers
    that differ; `alpha` and `beta` bound the chances of an early FAIL and PASS that are false.
    `ignore` names fields of JSON answers, by dots; lists on the way need no mention. A pair is
    asked for each `every`, and has `timeout` for each of its answers.
    """

    sample: tuple[SampleRequest, ...]
    by: By
    similarity: Similarity | None = None
    threshold: float | None = None
    tolerance: float | None = None
    limit: float = 0.05
    alpha: float = 0.05
    beta: float = 0.05
    ignore: tuple[str, ...] = ()
    every: timedelta = timedelta(seconds=1)
    timeout: timedelta = timedelta(seconds=10)

    def with_defaults(self, *, threshold: float, tolerance: float) -> Self:
        """The same with these where it needs them and has none."""
        return replace(
            self,
            threshold=threshold
            if self.threshold is None and self.needs_threshold
            else self.threshold,
            tolerance=tolerance
            if self.tolerance is None and self.needs_tolerance
            else self.tolerance,
        )

    @property
    def needs_threshold(self) -> bool:
        texts = (Similarity.TEXT, Similarity.WORDS)
        return self.by is By.LENGTH or (self.by is By.SIMILARITY and self.similarity in texts)

    @property
    def needs_tolerance(self) -> bool:
        return self.by is By.SIMILARITY and self.similarity is Similarity.NUMBERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model server answered."""

    status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A request was taken, and no answer came of it that could be read."""

    why: str


Heard = Reply | Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The result of one request of the sample; `difference` is empty where the answers agree.

    `sequence` counts the results of a rollout, `request` is the index in the sample.
    """

    sequence: int
    request: int
    difference: str = ""

    @property
    def agrees(self) -> bool:
        return not self.difference


def path_of(protocol: Protocol, model: str) -> str:
    """Where predictions of a model are asked for; empty for a protocol that is not compared."""
    match protocol:
        case Protocol.V1:
            return f"/v1/models/{model}:predict"
        case Protocol.V2:
            return f"/v2/models/{model}/infer"
        case Protocol.OPENAI:
            return ""


def shuffled(rollout_id: UUID, sample: Sequence[SampleRequest]) -> list[int]:
    """The order of asking: the same in each life of a watcher, and not that of the sample.

    A sample may begin with what is hard; early evidence must be evidence about all of it.
    """

    def drawn(index: int) -> bytes:
        return hashlib.sha256(rollout_id.bytes + index.to_bytes(4)).digest()

    return sorted(range(len(sample)), key=drawn)
