"""What tokens cost."""

from domain.metrics import Tokens
from domain.prices import TokenPrice, cost, total

PRICES = {
    "chat": TokenPrice(input=3, output=15),
    "mini": TokenPrice(input=1, output=2, currency="EUR"),
}


def test_a_price_is_for_a_million_tokens():
    told = cost([("chat", Tokens(input=1_000_000, output=200_000))], PRICES)
    assert (told.amounts, told.unpriced) == ({"USD": 6.0}, ())


def test_currencies_are_not_added_to_each_other():
    used = [("chat", Tokens(input=500_000)), ("mini", Tokens(output=500_000))]
    assert cost(used, PRICES).amounts == {"EUR": 1.0, "USD": 1.5}


def test_a_model_without_a_price_is_named_if_it_used_any():
    used = [("chat", Tokens(output=2)), ("other", Tokens(output=1)), ("idle", Tokens())]
    told = cost(used, PRICES)
    assert (told.amounts, told.unpriced) == ({"USD": 0.00003}, ("other",))
    assert cost([("other", Tokens(output=1))], PRICES).amounts is None


def test_a_sum_of_what_nobody_knows_is_no_number():
    assert total([Tokens(input=1), Tokens(input=2, output=None)]) == Tokens(input=3)
    assert total([]) == Tokens()
