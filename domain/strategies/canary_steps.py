"""The steps that a canary's spec is written in, and what each comes to in a plan."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain.errors import Violation
from domain.steps import Reaction, SetScale, SetWeights, Step, Until
from domain.strategies.rules import (
    bound_violations,
    mirror_violations,
    replica_violations,
    span_violations,
)
from domain.strategies.waits import UNLIMITED, Word, proof, stay, until_said
from domain.traffic import FULL


class Pace(StrEnum):
    """EVIDENCE advances as soon as every gate passes; TIME soaks the whole time first."""

    EVIDENCE = "evidence"
    TIME = "time"


class SpecStep(ABC):
    """One element of a canary's spec.

    `field` is its place in the spec. `judges`: it ends by the gates' PASS. `asks`: it ends by a
    person's word.
    """

    __slots__ = ()

    field = ""
    judges = asks = False

    @property
    def asks_below(self) -> float | None:
        """The ratio to stable that ends it, where it says one."""
        return None

    @property
    def gives(self) -> int | None:
        """The weight that the candidate has from here on, None where it stays as it is."""
        return None

    @abstractmethod
    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        """What it comes to, at the weight that the candidate has by then."""

    @abstractmethod
    def violations(self, at: str) -> Iterator[Violation]:
        """The rules that it breaks by itself; `at` is its place in the spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight(SpecStep):
    """A weight for the candidate, without a wait."""

    weight: int
    field = "set_weight"

    @property
    def gives(self) -> int:
        return self.weight

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:  # noqa: ARG002 - no wait
        return (SetWeights(candidate=weight),)

    def violations(self, at: str) -> Iterator[Violation]:
        if not 1 <= self.weight < FULL:
            rule = f"must lie in 1..99, not {self.weight}; the promotion to 100 follows by itself"
            yield Violation(f"{at}.{self.field}", rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStep(Weight):
    """A weight for the candidate, and how long to soak at it: a weight and an analysis in one.

    Paced by evidence, `soak` is the longest time before the step counts as undecided.
    """

    soak: timedelta
    pace: Pace = Pace.EVIDENCE
    margin: float | None = None
    field = "weight"
    judges = True

    @property
    def asks_below(self) -> float | None:
        return self.margin

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        at_least = self.soak if self.pace is Pace.TIME else timedelta(0)
        soak = proof(weight, at_least=at_least, at_most=self.soak, gated=gated, margin=self.margin)
        return (SetWeights(candidate=weight), soak)

    def violations(self, at: str) -> Iterator[Violation]:
        yield from Weight.violations(self, at)
        yield from span_violations(at, soak=self.soak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay(SpecStep):
    """A pause: for a time, or without one until somebody promotes."""

    time: timedelta | None = None

    @property
    def asks(self) -> bool:  # type: ignore[override]  # true of an open pause only
        return self.time is None

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        if self.time is None:
            return (until_said(weight, Word(until=Until.PROMOTED), gated=gated),)
        return (stay(weight, self.time, gated=gated),)

    def violations(self, at: str) -> Iterator[Violation]:
        if self.time is not None:
            yield from span_violations(f"{at}.pause", time=self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis(SpecStep):
    """Wait until every gate passes; `at_most` is the longest time before it is undecided."""

    at_most: timedelta
    at_least: timedelta = timedelta(0)
    on_undecided: Reaction | None = None
    margin: float | None = None
    judges = True

    @property
    def asks_below(self) -> float | None:
        return self.margin

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        soak = proof(
            weight,
            at_least=self.at_least,
            at_most=self.at_most,
            on_undecided=self.on_undecided,
            gated=gated,
            margin=self.margin,
        )
        return (soak,)

    def violations(self, at: str) -> Iterator[Violation]:
        return bound_violations(f"{at}.analysis", self.at_least, self.at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFor(SpecStep):
    """Copies of `percent` of the requests go to the candidate for a time, then no more."""

    percent: int
    time: timedelta

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        mirrored = SetWeights(candidate=weight, mirror=self.percent)
        return (mirrored, stay(weight, self.time, gated=gated), SetWeights(candidate=weight))

    def violations(self, at: str) -> Iterator[Violation]:
        yield from mirror_violations(f"{at}.mirror", self.percent)
        yield from span_violations(f"{at}.mirror", time=self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(SpecStep):
    """At least so many replicas of the candidate."""

    replicas: int

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:  # noqa: ARG002 - no traffic
        return (SetScale(replicas=self.replicas),)

    def violations(self, at: str) -> Iterator[Violation]:
        return replica_violations(f"{at}.set_scale", self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(SpecStep):
    """Wait for somebody with one of the roles; with none, for anybody."""

    roles: tuple[str, ...] = ()
    timeout: timedelta = UNLIMITED
    on_timeout: Reaction = Reaction.HOLD
    asks = True

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        word = Word(
            until=Until.APPROVED,
            timeout=self.timeout,
            on_timeout=self.on_timeout,
            roles=self.roles,
        )
        return (until_said(weight, word, gated=gated),)

    def violations(self, at: str) -> Iterator[Violation]:
        return span_violations(f"{at}.approval", timeout=self.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation(SpecStep):
    """Wait for a hook to say yes."""

    hook: str
    timeout: timedelta
    on_timeout: Reaction = Reaction.HOLD

    def compiled(self, weight: int, *, gated: bool) -> tuple[Step, ...]:
        word = Word(
            until=Until.CONFIRMED, timeout=self.timeout, on_timeout=self.on_timeout, hook=self.hook
        )
        return (until_said(weight, word, gated=gated),)

    def violations(self, at: str) -> Iterator[Violation]:
        return span_violations(f"{at}.confirm", timeout=self.timeout)
