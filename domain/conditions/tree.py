"""A condition as a tree: a claim about numbers, and the numbers that it is about.

Trees come from `parser.parse`, which holds what the types here cannot: that every comparison
looks at the answer, and that a tree is small.
"""

from dataclasses import dataclass
from enum import StrEnum


class Order(StrEnum):
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    EQUAL = "=="
    UNEQUAL = "!="


class Operator(StrEnum):
    PLUS = "+"
    MINUS = "-"
    TIMES = "*"
    OVER = "/"


class Link(StrEnum):
    AND = "&&"
    OR = "||"


class Extreme(StrEnum):
    MIN = "min"
    MAX = "max"


class Amount(StrEnum):
    """Of how many series a claim must hold."""

    ALL = "all"
    ANY = "any"


class Oddity(StrEnum):
    """What a store may answer that is no amount of anything."""

    NAN = "isNaN"
    INFINITE = "isInf"


@dataclass(frozen=True, slots=True)
class Literal:
    """Finite and not negative: a minus sign before it is a `Negative`."""

    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """The series whose turn it is: `result[0]`, or `#` in the braces of `all` and `any`."""


@dataclass(frozen=True, slots=True)
class Length:
    """How many series there are."""


@dataclass(frozen=True, slots=True)
class ExtremeOfSeries:
    """The smallest or largest of all series."""

    extreme: Extreme


@dataclass(frozen=True, slots=True)
class ExtremeOf:
    """The smallest or largest of at least two numbers."""

    extreme: Extreme
    numbers: "tuple[Number, ...]"


@dataclass(frozen=True, slots=True)
class Absolute:
    of: "Number"


@dataclass(frozen=True, slots=True)
class Negative:
    of: "Number"


@dataclass(frozen=True, slots=True)
class Default:
    """A number, and what stands for it where the answer has no series."""

    of: "Number"
    otherwise: "Number"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: Operator
    left: "Number"
    right: "Number"


@dataclass(frozen=True, slots=True)
class Comparison:
    order: Order
    left: "Number"
    right: "Number"


@dataclass(frozen=True, slots=True)
class Odd:
    """That the store's answer for the series whose turn it is is no amount of anything."""

    oddity: Oddity


@dataclass(frozen=True, slots=True)
class Quantified:
    """That a claim holds for all series, or for any."""

    amount: Amount
    claim: "Claim"


@dataclass(frozen=True, slots=True)
class Not:
    claim: "Claim"


@dataclass(frozen=True, slots=True)
class Linked:
    link: Link
    left: "Claim"
    right: "Claim"


Number = (
    Literal | Series | Length | ExtremeOfSeries | ExtremeOf | Absolute | Negative | Default
    | Arithmetic
)  # fmt: skip
Claim = Comparison | Odd | Quantified | Not | Linked
