"""A/B/n: several versions beside stable, compared by one reward until one has won or time is up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from domain import arm_traffic
from domain.apportionment import apportion
from domain.buckets import header_violations
from domain.errors import Violation
from domain.gates import Gate
from domain.meters import GATEWAY, meter_of
from domain.plan import Plan, Strategy
from domain.steps import (
    Conclude,
    Deploy,
    Promote,
    Reaction,
    Retire,
    SetWeights,
    Soak,
    Step,
    Until,
)
from domain.strategies.rules import Parties, Terms, bound_violations, planned
from domain.strategies.waits import Word, until_said
from domain.traffic import FULL, HeaderMatch
from domain.trial import Reward, ThompsonRules, Trial, TrialRules, trial_violations

AT = "ab_test"
# Requests of one user resemble each other: where users stay with an arm, less is learnt from each.
STICKY_OVERDISPERSION = 3.0


class OnWinner(StrEnum):
    """PROMOTE: it gets all traffic. KEEP: stable keeps it. ASK: a person decides."""

    PROMOTE = "promote"
    KEEP = "keep"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbTestSpec(Terms):
    """What a person asks for; arms are the challengers by name, as the parties bring them.

    Without `weights` all arms get the same, stable among them; where requests are `matched` by
    headers, stable gets all that match none. Requests stay with an arm by the hash of the user in
    `sticky_header`. An undecided test concludes when its time is over: stable keeps the traffic.
    """

    reward: Reward
    rules: TrialRules = field(default_factory=TrialRules)
    allocation: ThompsonRules | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    sticky_header: str = ""
    matched: Mapping[str, tuple[HeaderMatch, ...]] = field(default_factory=dict)
    overdispersion: float | None = None
    on_winner: OnWinner = OnWinner.ASK
    at_most: timedelta
    at_least: timedelta = timedelta(0)
    on_undecided: Reaction = Reaction.ADVANCE


def compile_ab_test(spec: AbTestSpec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    violations = tuple(_violations(spec, parties))
    trial = _trial(spec if not violations else replace(spec, sticky_header=""), parties)
    weights = _weights(spec, trial.arms) if not violations else {trial.arms[0]: FULL}
    traffic = arm_traffic.opening(trial, weights)
    steps = (Deploy(), traffic, *_compared(spec, traffic.candidate))
    return planned(Strategy.AB_TEST, spec, parties, steps, violations, trial=trial)


def _trial(spec: AbTestSpec, parties: Parties) -> Trial:
    challengers = (one.name for one in (parties.candidate, *parties.others))
    is_random = not spec.sticky_header and not spec.matched
    phi = spec.overdispersion or (1.0 if is_random else STICKY_OVERDISPERSION)
    return Trial(
        arms=(parties.stable.name, *challengers),
        reward=spec.reward,
        rules=replace(spec.rules, checks_split=is_random),
        allocation=spec.allocation,
        sticky_header=spec.sticky_header,
        matches=spec.matched,
        phi=phi,
    )


def _weights(spec: AbTestSpec, arms: tuple[str, ...]) -> dict[str, int]:
    """The weights of all arms."""
    stable, *challengers = arms
    if spec.weights:
        given = {name: spec.weights[name] for name in challengers}
    elif spec.matched:
        given = dict.fromkeys(challengers, 0)
    else:
        parts = apportion([1.0] * len(arms), FULL)
        given = dict(zip(challengers, parts[1:], strict=True))
    return {stable: FULL - sum(given.values()), **given}


def _compared(spec: AbTestSpec, weight: int) -> Iterator[Step]:
    yield Soak(
        weight=weight,
        at_least=spec.at_least,
        at_most=spec.at_most,
        until=Until.DECIDED,
        at_the_end=spec.on_undecided,
    )
    if spec.on_winner is not OnWinner.KEEP:
        if spec.on_winner is OnWinner.ASK:
            yield until_said(weight, Word(until=Until.PROMOTED))
        yield SetWeights(candidate=FULL)
        yield Promote()
        yield Retire(delay=spec.policies.scale_down_delay)
    yield Conclude()


def _violations(spec: AbTestSpec, parties: Parties) -> Iterator[Violation]:
    names = [one.name for one in (parties.candidate, *parties.others)]
    for one in trial_violations(
        (parties.stable.name, *names), spec.reward, spec.rules, spec.allocation
    ):
        yield Violation(f"{AT}.{one.field.removeprefix('rules.')}", one.rule)
    yield from _gate_violations(spec)
    yield from _split_violations(spec, names)
    yield from bound_violations(AT, spec.at_least, spec.at_most)
    if spec.at_most >= spec.policies.deadline:
        rule = f"must be above {AT}.at_most_seconds, or the deadline ends the test before its time"
        yield Violation("policies.deadline_seconds", rule)
    if spec.overdispersion is not None and spec.overdispersion < 1:
        yield Violation(f"{AT}.overdispersion", "must be at least 1")


def _gate_violations(spec: AbTestSpec) -> Iterator[Violation]:
    for i, gate in enumerate(spec.gates):
        if isinstance(gate, Gate) and meter_of(gate) != GATEWAY:
            rule = "must be envoy in an A/B test: its arms are counted where traffic is split"
            yield Violation(f"gates.{i}.source", rule)


def _split_violations(spec: AbTestSpec, names: list[str]) -> Iterator[Violation]:
    if spec.sticky_header and spec.matched:
        yield Violation(f"{AT}.sticky_header", "does not go with arms that have a match")
    if spec.sticky_header:
        yield from header_violations(f"{AT}.sticky_header", spec.sticky_header)
    if spec.allocation is not None and spec.matched:
        yield Violation(f"{AT}.allocation", "moves nobody where clients choose their arm")
    if spec.allocation is not None and spec.weights:
        yield Violation(f"{AT}.allocation", "begins with equal weights: leave the arms' out")
    seen: dict[tuple[HeaderMatch, ...], str] = {}
    for i, name in enumerate(names):
        match = spec.matched.get(name)
        if spec.matched and not match:
            yield Violation(f"{AT}.arms.{i}.match", "is needed: another arm has one")
        elif match and match in seen:
            yield Violation(f"{AT}.arms.{i}.match", f"is that of {seen[match]}")
        elif match:
            seen[match] = name
    yield from _weight_violations(spec, names)


def _weight_violations(spec: AbTestSpec, names: list[str]) -> Iterator[Violation]:
    if not spec.weights:
        return
    least = 0 if spec.matched else 1
    for i, name in enumerate(names):
        weight = spec.weights.get(name)
        if weight is None:
            yield Violation(f"{AT}.arms.{i}.weight", "is needed: another arm has one")
        elif not least <= weight < FULL:
            yield Violation(f"{AT}.arms.{i}.weight", f"must lie in {least}..99, not {weight}")
    if sum(spec.weights.values()) >= FULL:
        rule = "must leave something for stable, which all arms are compared with"
        yield Violation(f"{AT}.arms", rule)
