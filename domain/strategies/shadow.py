"""Shadow: the candidate gets copies of requests and is judged by them; it serves nobody."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.comparison import Comparison
from domain.errors import Violation
from domain.plan import Plan, Strategy
from domain.steps import Conclude, Deploy, Reaction, SetWeights
from domain.strategies.comparisons import comparison_violations
from domain.strategies.rules import Parties, Terms, bound_violations, mirror_violations, planned
from domain.strategies.waits import proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSpec(Terms):
    """What a person asks for: copies of `percent` of the requests until the gates have judged.

    With `compare`, stable and it are asked a sample of requests besides, and their answers must
    agree. An undecided shadow concludes when its time is over: it has hurt nobody and wins nothing.
    """

    percent: int
    at_most: timedelta
    at_least: timedelta = timedelta(0)
    on_undecided: Reaction = Reaction.ADVANCE
    compare: Comparison | None = None


def compile_shadow(spec: ShadowSpec, parties: Parties) -> Plan:
    """Turn a spec into a plan. Raises InvalidSpec with every rule that the spec breaks."""
    soak = proof(0, at_least=spec.at_least, at_most=spec.at_most, on_undecided=spec.on_undecided)
    steps = (
        Deploy(),
        SetWeights(candidate=0, mirror=spec.percent),
        replace(soak, comparison=spec.compare),
        Conclude(),
    )
    return planned(Strategy.SHADOW, spec, parties, steps, _violations(spec, parties))


def _violations(spec: ShadowSpec, parties: Parties) -> Iterator[Violation]:
    yield from mirror_violations("shadow", spec.percent)
    yield from bound_violations("shadow", spec.at_least, spec.at_most)
    if spec.compare is not None:
        yield from comparison_violations("shadow.compare", spec.compare, parties.route, spec.gates)
