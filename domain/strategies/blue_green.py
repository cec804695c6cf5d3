"""Blue/green: the candidate is seen by testers, judged, given all traffic at once, judged again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import Violation
from domain.plan import Plan, Strategy
from domain.steps import Deploy, Promote, Reaction, Retire, SetWeights, Step, Until
from domain.strategies.canary_steps import Analysis
from domain.strategies.rules import Parties, Terms, bound_violations, planned, span_violations
from domain.strategies.waits import Word, stay, until_said
from domain.traffic import FULL, HeaderMatch

PREVIEW_HEADER = "x-tidegate-preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueGreenSpec(Terms):
    """What a person asks for.

    Requests with the headers of `preview`, by default `x-tidegate-preview` with the candidate's
    name, reach the candidate before the switch. `pre_promotion` judges it on those. With
    `automatic` the switch follows by itself, else a person promotes. `post_promotion` is how long
    the gates watch all traffic before the candidate is stable; the former stable stays warm
    meanwhile, and for the scale-down delay after it.
    """

    preview: tuple[HeaderMatch, ...] = ()
    pre_promotion: Analysis | None = None
    automatic: bool = False
    post_promotion: timedelta = timedelta(0)


def compile_blue_green(spec: BlueGreenSpec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    name = parties.candidate.name
    preview = spec.preview or (HeaderMatch(name=PREVIEW_HEADER, value=name),)
    steps = (Deploy(), SetWeights(candidate=0, preview=preview), *_around_the_switch(spec))
    return planned(Strategy.BLUE_GREEN, spec, parties, steps, _violations(spec))


def _around_the_switch(spec: BlueGreenSpec) -> Iterator[Step]:
    if spec.pre_promotion is not None:
        yield from spec.pre_promotion.compiled(0, gated=True)
    if not spec.automatic:
        yield until_said(0, Word(until=Until.PROMOTED))
    yield SetWeights(candidate=FULL)
    for watched in (spec.post_promotion, spec.policies.scale_down_delay):
        if watched:
            yield stay(FULL, watched)
    yield Promote()
    yield Retire(delay=timedelta(0))


def _violations(spec: BlueGreenSpec) -> Iterator[Violation]:
    analysis, at = spec.pre_promotion, "blue_green.pre_promotion"
    if analysis is None and spec.automatic and spec.gates:
        yield Violation(at, "is needed, or a person who promotes: nothing is switched blind")
    if analysis is not None:
        yield from bound_violations(at, analysis.at_least, analysis.at_most)
        if analysis.on_undecided is Reaction.ADVANCE:
            yield Violation(f"{at}.on_undecided", "must be hold, pause or rollback: time is no yes")
    yield from span_violations("blue_green", post_promotion=spec.post_promotion)
