"""Conditions and answers for Hypothesis: whatever the parser can build, whatever a store can say."""

import math

from hypothesis import strategies as st

from domain.conditions.tree import (
    Absolute,
    Amount,
    Arithmetic,
    Comparison,
    Default,
    Extreme,
    ExtremeOf,
    ExtremeOfSeries,
    Length,
    Link,
    Linked,
    Literal,
    Negative,
    Not,
    Odd,
    Oddity,
    Operator,
    Order,
    Quantified,
    Series,
)

# Values at which arithmetic goes wrong, beside all others.
EDGES = [0.0, -0.0, 1.0, -1.0, 1.8e308, -1.8e308, 1.7e308, 5e-324, math.nan, math.inf, -math.inf]
VALUES = st.sampled_from(EDGES) | st.floats()
ANSWERS = st.lists(VALUES, max_size=5)
NOTHING_KNOWN = st.lists(st.sampled_from([math.nan, math.inf, -math.inf]), max_size=4)

literals = st.builds(
    Literal, st.sampled_from([0.0, 1.0, 0.05, 1e15, 1.7e308]) | st.floats(0, allow_infinity=False)
)
whole = st.builds(Length) | st.builds(ExtremeOfSeries, st.sampled_from(Extreme))


def _grown(numbers):
    several = st.lists(numbers, min_size=2, max_size=3).map(tuple)
    return (
        st.builds(Negative, numbers)
        | st.builds(Absolute, numbers)
        | st.builds(ExtremeOf, st.sampled_from(Extreme), several)
        | st.builds(Arithmetic, st.sampled_from(Operator), numbers, numbers)
    )


def _numbers(leaves):
    return st.recursive(leaves, _grown, max_leaves=4)


def _comparisons(looking, others):
    """Comparisons of which one side, at least, looks at the answer."""
    orders = st.sampled_from(Order)
    looks = st.one_of(
        looking,
        looking.map(Negative),
        looking.map(Absolute),
        st.builds(Arithmetic, st.sampled_from(Operator), looking, others),
        st.builds(Arithmetic, st.sampled_from(Operator), others, looking),
    )
    return st.builds(Comparison, orders, looks, others) | st.builds(
        Comparison, orders, others, looks
    )


def _claims(atoms):
    return st.recursive(
        atoms,
        lambda claims: (
            st.builds(Not, claims)
            | st.builds(Linked, st.sampled_from(Link), claims, claims)
            | st.builds(Quantified, st.sampled_from(Amount), claims)
        ),
        max_leaves=5,
    )


series = st.builds(Series)
extremes = st.builds(ExtremeOfSeries, st.sampled_from(Extreme))
defaults = st.builds(Default, series | extremes, literals)
# Everything the language has.
trees = _claims(
    _comparisons(series | whole | defaults, _numbers(series | whole | defaults | literals))
    | st.builds(Odd, st.sampled_from(Oddity))
)
# All but what is there to ask about answers that hold no number.
unguarded_trees = _claims(_comparisons(series | extremes, _numbers(series | extremes | literals)))
