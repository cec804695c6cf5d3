"""Filling a template in: its gates with a value in the place of each placeholder."""

import json
import re
from collections.abc import Container, Mapping
from typing import Any

from domain.errors import InvalidSpec, Violation
from domain.gate_templates.arguments import Value, given_violations, with_defaults
from domain.gate_templates.pins import PinnedArgument, TemplatePin
from domain.gate_templates.placeholders import PLACEHOLDER, PREFIX, Text
from domain.gate_templates.template import GateDocument, GateTemplate, TemplateContent
from domain.promql_text import QueryTextError, filled_in

LONGEST_FILLED = 256 * 1024


class _NotOurs(Container[str]):
    """The names of placeholders that a gate fills in itself, when it asks."""

    def __contains__(self, name: object) -> bool:
        return not str(name).startswith(PREFIX)


def filled(content: TemplateContent, given: Mapping[str, Value], at: str) -> list[GateDocument]:
    """The gates as documents without placeholders for arguments; `at` is the field of the use.

    Raises InvalidSpec with every argument that is undeclared, missing or of the wrong type, and
    every place that cannot take its value.
    """
    at_arguments = f"{at}.arguments"
    if violations := [*given_violations(content.arguments, given, at_arguments)]:
        raise InvalidSpec(*violations)
    return _filled(content, with_defaults(content.arguments, given), f"{at}.gates")


def tried(content: TemplateContent) -> list[GateDocument]:
    """The gates filled in with the defaults and examples. Raises InvalidSpec."""
    samples = {one.name: one.sample for one in content.arguments if one.sample is not None}
    return _filled(content, samples, "gates")


def pinned(template: GateTemplate, given: Mapping[str, Value]) -> TemplatePin:
    """What a rollout keeps of a template that it was started with."""
    values = with_defaults(template.content.arguments, given)
    return TemplatePin(
        name=template.name,
        scope=template.scope,
        version=template.version,
        arguments=tuple(PinnedArgument(name=name, value=value) for name, value in values.items()),
    )


def _filled(content: TemplateContent, values: Mapping[str, Value], at: str) -> list[GateDocument]:
    filler = _Filler(values)
    gates = [filler.part(gate, f"{at}.{i}", "") for i, gate in enumerate(content.gates)]
    if filler.violations:
        raise InvalidSpec(*filler.violations)
    if len(json.dumps(gates)) > LONGEST_FILLED:
        rule = f"must be at most {LONGEST_FILLED >> 10} KiB when filled in"
        raise InvalidSpec(Violation(at, rule))
    return gates


class _Filler:
    """Writes parts of a document anew, and keeps what could not be written."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self._of_query = {f"{PREFIX}{name}": value for name, value in values.items()}
        self.violations: list[Violation] = []

    def part(self, part: Any, at: str, field: str) -> Any:
        match part:
            case str():
                return self._text(Text(at=at, field=field, written=part))
            case list() | tuple():
                return [self.part(item, f"{at}.{i}", field) for i, item in enumerate(part)]
            case Mapping():
                return {key: self.part(item, f"{at}.{key}", key) for key, item in part.items()}
            case _:
                return part

    def _text(self, text: Text) -> Value:
        if text.is_query:
            return self._query(text)
        if alone := PLACEHOLDER.fullmatch(text.written):
            value = self._values[alone[1]]
            # A condition is a text, even where it is no more than a number.
            return _written(value) if text.is_condition else value
        return PLACEHOLDER.sub(self._one, text.written)

    def _one(self, match: re.Match[str]) -> str:
        return _written(self._values[match[1]])

    def _query(self, text: Text) -> str:
        try:
            return filled_in(text.written, self._of_query, later=_NotOurs())
        except QueryTextError as error:
            self.violations.append(Violation(text.at, str(error)))
            return text.written


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
