"""What a variant's answers cost, as a number that a gate can hold against its limit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from domain.errors import InvalidSpec, TidegateError, Violation
from domain.metrics import Measurement, Tokens, counted
from domain.prices import TokenPrice
from domain.reading_gates import AnyGate, CostQuestion, CostUnit, ReadingGate

THOUSAND = 1000


class CostUnknown(TidegateError):
    """The cost cannot be told; the message says what is missing."""


def priced(
    gates: Sequence[AnyGate], model: str, prices: Mapping[str, TokenPrice]
) -> tuple[AnyGate, ...]:
    """The gates with the price that each question of cost is to be answered by, for good.

    Raises InvalidSpec where the model has none.
    """
    price = prices.get(model)
    asking = [i for i, gate in enumerate(gates) if _asks_for_cost(gate)]
    if asking and price is None:
        raise InvalidSpec(*(Violation(f"gates.{i}.cost", unpriced(model)) for i in asking))
    return tuple(_with_price(gate, price) for gate in gates)


def unpriced(model: str) -> str:
    """The rule that a question of cost breaks whose model has no price."""
    return f"needs a price of {model!r}, which TIDEGATE_TOKEN_PRICES does not have"


def cost_answer(
    question: CostQuestion, candidate: Measurement, stable: Measurement
) -> tuple[float, ...]:
    """The candidate's cost, or how many times stable's it is; nothing while one has no traffic.

    In the price's currency, per request or per 1,000 tokens of both directions. Raises CostUnknown.
    """
    if question.price is None:
        raise CostUnknown("the model has no price")
    cost = _cost(question.per, question.price, "the candidate", candidate)
    if question.times_stable is None:
        return () if cost is None else (cost,)
    beside = _cost(question.per, question.price, "stable", stable)
    if cost is None or beside is None:
        return ()
    if not beside:
        raise CostUnknown("stable costs nothing, so no multiple of it can be told")
    return (cost / beside,)


def _cost(per: CostUnit, price: TokenPrice, whose: str, measured: Measurement) -> float | None:
    """None without what it is told for."""
    used = Tokens(input=counted(measured.input_tokens), output=counted(measured.output_tokens))
    tokens = (used.input or 0) + (used.output or 0)
    requests = max(measured.requests or 0.0, 0.0)
    if requests and not tokens:
        raise CostUnknown(f"no tokens of {whose} are counted, though it answers requests")
    amount = requests if per is CostUnit.REQUEST else tokens / THOUSAND
    return price.of(used) / amount if amount else None


def _asks_for_cost(gate: AnyGate) -> bool:
    return isinstance(gate, ReadingGate) and isinstance(gate.question, CostQuestion)


def _with_price(gate: AnyGate, price: TokenPrice | None) -> AnyGate:
    if isinstance(gate, ReadingGate) and isinstance(gate.question, CostQuestion):
        return replace(gate, question=replace(gate.question, price=price))
    return gate
