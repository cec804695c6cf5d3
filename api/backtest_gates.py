"""Which gates a backtest replays: those that are named, else those of whoever is replayed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import assert_never

from api.errors import broken
from api.pasts import LeftOut, Past
from api.schemas.gates import GateBody
from api.schemas.reading_gates import ReadingGateBody
from domain.costs import unpriced
from domain.errors import InvalidSpec, Violation
from domain.gates import Gate
from domain.meters import GATEWAY, meter_of
from domain.prices import TokenPrice
from domain.promql_text import placeholders
from domain.reading_gates import AnyGate, CostQuestion, CostUnit, PromQuery, Question, ReadingGate
from domain.strategies.gate_rules import gate_violations
from domain.traffic import PlaceKind
from domain.web_questions import WebQuestion

ASKS_A_URL = "cannot be replayed: what a URL has answered then is not known any more"
NEEDS_NAMES = "needs candidate and stable to be named: what is counted by workload has no slot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """All gates with statistics, and of the others those that are replayed."""

    gates: tuple[Gate, ...]
    readings: tuple[ReadingGate, ...]
    left_out: tuple[LeftOut, ...]


def chosen(
    named: Sequence[GateBody | ReadingGateBody] | None,
    default: Sequence[AnyGate],
    pasts: Sequence[Past],
    prices: Mapping[str, TokenPrice],
) -> Choice:
    """What is named must be replayable in full; of the others as many as can be.

    Raises InvalidSpec with every broken rule.
    """
    if named is None:
        left_out = tuple(
            LeftOut(gate=gate.name, reason=rule)
            for gate in default
            for _, rule in _in_the_way(gate, pasts, prices)
        )
        if len({one.gate for one in left_out}) == len(default):
            raise broken("gates", "must be given: there are none to replay")
        gates = tuple(default)
    else:
        gates, left_out = tuple(body.to_domain() for body in named), ()
        unreplayed = _unreplayed(gates, pasts, prices)
        if violations := (tuple(gate_violations(gates)) or tuple(unreplayed)):
            raise InvalidSpec(*violations)
    gone = {one.gate for one in left_out}
    asking = [gate for gate in gates if isinstance(gate, ReadingGate) and gate.name not in gone]
    return Choice(
        gates=tuple(gate for gate in gates if isinstance(gate, Gate)),
        readings=tuple(_priced(gate, pasts[0].route.model, prices) for gate in asking),
        left_out=left_out,
    )


def _unreplayed(
    gates: Sequence[AnyGate], pasts: Sequence[Past], prices: Mapping[str, TokenPrice]
) -> Iterator[Violation]:
    for i, gate in enumerate(gates):
        for field, rule in _in_the_way(gate, pasts, prices):
            yield Violation(".".join(filter(None, ("gates", str(i), field))), rule)


def _in_the_way(
    gate: AnyGate, pasts: Sequence[Past], prices: Mapping[str, TokenPrice]
) -> Iterator[tuple[str, str]]:
    """Why a gate cannot be replayed, and which of its fields says so; nothing where it can be."""
    if isinstance(gate, ReadingGate):
        yield from _in_the_way_of_question(gate.question, pasts, prices)
    elif meter_of(gate) != GATEWAY and not _has_workloads(pasts):
        rule = (
            f"must be envoy where a slot alone is named: {gate.source} counts by workload, so name "
            "candidate and stable"
        )
        yield "source", rule


def _in_the_way_of_question(
    question: Question, pasts: Sequence[Past], prices: Mapping[str, TokenPrice]
) -> Iterator[tuple[str, str]]:
    match question:
        case WebQuestion():
            yield "", ASKS_A_URL
        case CostQuestion():
            yield from _in_the_way_of_cost(question, pasts, prices)
        case PromQuery():
            asked = placeholders(question.query)
            known = [past.names(stretch) for past in pasts for stretch in past.stretches]
            unknown = [name for name in asked if not all(name in names for names in known)]
            if unknown:
                rule = "which is not known of every range: only a rollout has weights, and a slot"
                yield "query", f"names {', '.join(unknown)}, {rule} alone has no name or workload"
        case _:
            assert_never(question)


def _in_the_way_of_cost(
    question: CostQuestion, pasts: Sequence[Past], prices: Mapping[str, TokenPrice]
) -> Iterator[tuple[str, str]]:
    model, *others = dict.fromkeys(past.route.model for past in pasts)
    if not _has_workloads(pasts):
        yield "cost", NEEDS_NAMES
    elif others:
        rule = "needs ranges of one model, since each has a price of its own; these are of"
        yield "cost", f"{rule} {', '.join((model, *others))}"
    elif question.price is None and model not in prices:
        yield "cost", unpriced(model)
    elif question.per is CostUnit.REQUEST and any(map(_comes_beside_slots, pasts)):
        rule = "must be thousand_tokens: copies, previews and matched headers"
        yield "cost.per", f"{rule} are not counted"


def _has_workloads(pasts: Sequence[Past]) -> bool:
    return all(past.candidate.workload and past.stable.workload for past in pasts)


def _comes_beside_slots(past: Past) -> bool:
    """Whether requests reach an arm that its slot does not count."""
    places = chain.from_iterable((*piece.candidate, *piece.stable) for piece in past.pieces)
    return any(place.kind is not PlaceKind.SLOT for place in places)


def _priced(gate: ReadingGate, model: str, prices: Mapping[str, TokenPrice]) -> ReadingGate:
    """With the price of the model, which is there; those of a rollout keep their own."""
    question = gate.question
    if not isinstance(question, CostQuestion) or question.price is not None:
        return gate
    return replace(gate, question=replace(question, price=prices[model]))
