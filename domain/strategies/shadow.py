"""Shadow: the candidate gets copies of requests and is judged by them; it serves nobody."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import Violation
from domain.plan import Plan, Strategy
from domain.steps import Conclude, Deploy, Reaction, SetWeights
from domain.strategies.rules import Parties, Terms, bound_violations, mirror_violations, planned
from domain.strategies.waits import proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSpec(Terms):
    """What a person asks for: copies of `percent` of the requests until the gates have judged.

    An undecided shadow concludes when its time is over: it has hurt nobody and wins nothing.
    """

    percent: int
    at_most: timedelta
    at_least: timedelta = timedelta(0)
    on_undecided: Reaction = Reaction.ADVANCE


def compile_shadow(spec: ShadowSpec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    steps = (
        Deploy(),
        SetWeights(candidate=0, mirror=spec.percent),
        proof(0, at_least=spec.at_least, at_most=spec.at_most, on_undecided=spec.on_undecided),
        Conclude(),
    )
    return planned(Strategy.SHADOW, spec, parties, steps, _violations(spec))


def _violations(spec: ShadowSpec) -> Iterator[Violation]:
    yield from mirror_violations("shadow", spec.percent)
    yield from bound_violations("shadow", spec.at_least, spec.at_most)
