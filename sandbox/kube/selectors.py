"""Label and field selectors: parsed once per request, matched against many objects."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from sandbox.kube.status import bad_request


class Operator(StrEnum):
    EXISTS = "exists"
    ABSENT = "!"
    IN = "in"
    NOT_IN = "notin"
    ABOVE = ">"
    BELOW = "<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def accepts(self, attributes: Mapping[str, str]) -> bool:
        value = attributes.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.ABOVE | Operator.BELOW:
                return self._accepts_number(value)
            case _:
                assert_never(self.operator)

    def _accepts_number(self, value: str | None) -> bool:
        try:
            number, bound = int(value or ""), int(next(iter(self.values)))
        except ValueError:
            return False
        return number > bound if self.operator is Operator.ABOVE else number < bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """All requirements must hold; none at all accepts everything."""

    requirements: tuple[Requirement, ...] = ()

    def accepts(self, attributes: Mapping[str, str]) -> bool:
        return all(one.accepts(attributes) for one in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


_KEY = r"[A-Za-z0-9][-A-Za-z0-9_./]*"
_VALUE = r"[-A-Za-z0-9_.]*"
_LABEL_FORMS = (
    (re.compile(rf"^!\s*({_KEY})$"), Operator.ABSENT),
    (re.compile(rf"^({_KEY})$"), Operator.EXISTS),
    (re.compile(rf"^({_KEY})\s+in\s*\(([^()]*)\)$"), Operator.IN),
    (re.compile(rf"^({_KEY})\s+notin\s*\(([^()]*)\)$"), Operator.NOT_IN),
    (re.compile(rf"^({_KEY})\s*!=\s*({_VALUE})$"), Operator.NOT_IN),
    (re.compile(rf"^({_KEY})\s*==?\s*({_VALUE})$"), Operator.IN),
    (re.compile(rf"^({_KEY})\s*>\s*(-?\d+)$"), Operator.ABOVE),
    (re.compile(rf"^({_KEY})\s*<\s*(-?\d+)$"), Operator.BELOW),
)
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def parse_labels(text: str) -> Selector:
    """Parse `a=b,c in (d,e),!f`. Raises a 400 for anything else."""
    parts = _COMMA_OUTSIDE_PARENTHESES.split(text) if text.strip() else []
    return Selector(requirements=tuple(_label_requirement(part.strip(), text) for part in parts))


def parse_fields(text: str, supported: tuple[str, ...]) -> Selector:
    """Parse `metadata.name=a,b!=c`. Raises a 400 for a field that cannot be selected by."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return Selector(requirements=tuple(_field_requirement(part, supported) for part in parts))


def _label_requirement(part: str, text: str) -> Requirement:
    for form, operator in _LABEL_FORMS:
        if match := form.match(part):
            key, *rest = match.groups()
            values = frozenset(value.strip() for one in rest for value in one.split(","))
            return Requirement(key=key, operator=operator, values=values)
    raise bad_request(f'unable to parse requirement: "{part}" in selector "{text}"')


def _field_requirement(part: str, supported: tuple[str, ...]) -> Requirement:
    match = re.match(r"^([^=!]+?)\s*(!=|==?)\s*(.*)$", part)
    if match is None:
        raise bad_request(f'invalid field selector: "{part}"; can\'t understand "{part}"')
    key, sign, value = match.groups()
    if key not in supported:
        raise bad_request(f'field label not supported: "{key}"')
    operator = Operator.NOT_IN if sign == "!=" else Operator.IN
    return Requirement(key=key, operator=operator, values=frozenset({value}))
