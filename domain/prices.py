"""What tokens cost: prices per model, by the million."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.metrics import Tokens

MILLION = 1_000_000
DECIMALS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """The price of a million tokens in, and of a million out."""

    input: float
    output: float
    currency: str = "USD"

    def of(self, tokens: Tokens) -> float:
        return (self.input * (tokens.input or 0) + self.output * (tokens.output or 0)) / MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Amounts by currency, None where nothing has a price; `unpriced` are the models without."""

    amounts: dict[str, float] | None
    unpriced: tuple[str, ...]


def cost(usage: Iterable[tuple[str, Tokens]], prices: Mapping[str, TokenPrice]) -> Cost:
    """Add up what each model's tokens cost. Models without tokens need no price."""
    amounts: defaultdict[str, float] = defaultdict(float)
    unpriced = set()
    for model, tokens in usage:
        if tokens.input is None and tokens.output is None:
            continue
        price = prices.get(model)
        if price is None:
            unpriced.add(model)
        else:
            amounts[price.currency] += price.of(tokens)
    rounded = {currency: round(amount, DECIMALS) for currency, amount in sorted(amounts.items())}
    return Cost(amounts=rounded or None, unpriced=tuple(sorted(unpriced)))


def total(tokens: Iterable[Tokens]) -> Tokens:
    """The sum; None where nobody has a number."""
    listed = list(tokens)
    return Tokens(
        input=_sum(each.input for each in listed), output=_sum(each.output for each in listed)
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
