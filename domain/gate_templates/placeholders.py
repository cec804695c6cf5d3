"""Placeholders `{{args.name}}` in gates as they are written: where they stand, and what for.

Other placeholders, such as `{{candidate.workload}}`, are the gate's own and stay as they are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain import promql_text
from domain.errors import Violation
from domain.gate_templates.arguments import Argument
from domain.promql_text import QueryTextError

PREFIX = "args."
PLACEHOLDER = re.compile(r"\{\{\s*args\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# What was meant as one, whether it is or not.
_MEANT = re.compile(r"\{\{\s*args\b[^{}]*\}\}")
QUERY = "query"
_CONDITION = "_condition"
# What a question sends to a URL may have fields of the same names.
_SENT = re.compile(r"(?:^|\.)gates\.[0-9]+\.web\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string of a document: the field that it is in, and the field's dotted path."""

    at: str
    field: str
    written: str

    @property
    def is_query(self) -> bool:
        return self.field == QUERY and not self._is_sent

    @property
    def is_condition(self) -> bool:
        return self.field.endswith(_CONDITION) and not self._is_sent

    @property
    def _is_sent(self) -> bool:
        return _SENT.search(self.at) is not None


def texts(part: Any, at: str, field: str = "") -> Iterator[Text]:
    """All strings of a document but its keys. An item of a list is in the field of the list."""
    match part:
        case str():
            yield Text(at=at, field=field, written=part)
        case list() | tuple():
            for i, item in enumerate(part):
                yield from texts(item, f"{at}.{i}", field)
        case Mapping():
            for key, item in part.items():
                yield from texts(item, f"{at}.{key}", key)
        case _:
            pass


def usage_violations(
    gates: Sequence[Mapping[str, Any]], arguments: Sequence[Argument]
) -> Iterator[Violation]:
    """Placeholders that name nothing or stand where they must not; arguments that none names."""
    declared = {argument.name: argument for argument in arguments}
    used: set[str] = set()
    for i, gate in enumerate(gates):
        yield from _key_violations(gate, f"gates.{i}")
        for text in texts(gate, f"gates.{i}"):
            try:
                names = _names(text)
            except QueryTextError as error:
                yield Violation(text.at, str(error))
                continue
            used |= names
            yield from _text_violations(text, names, declared)
    for i, argument in enumerate(arguments):
        if argument.name not in used:
            yield Violation(f"arguments.{i}", f"{argument.name!r} is used in no gate")


def _names(text: Text) -> set[str]:
    """The arguments that a text asks for. Raises QueryTextError for an open string in a query."""
    if text.is_query:
        asked = promql_text.placeholders(text.written)
        return {name.removeprefix(PREFIX) for name in asked if name.startswith(PREFIX)}
    return {match[1] for match in PLACEHOLDER.finditer(text.written)}


def _text_violations(
    text: Text, names: set[str], declared: Mapping[str, Argument]
) -> Iterator[Violation]:
    for match in _MEANT.finditer(text.written):
        if not PLACEHOLDER.fullmatch(match[0]):
            rule = f"has {match[0][:80]}, which is no placeholder: those are {{{{args.name}}}}"
            yield Violation(text.at, rule)
    for name in sorted(names - declared.keys()):
        yield Violation(text.at, f"has {{{{args.{name}}}}}, which is no declared argument")
    for name in sorted(names & declared.keys()):
        kind = declared[name].type
        if text.is_condition and not kind.is_numeric:
            rule = f"has {{{{args.{name}}}}}, a {kind}; in a condition only numbers may stand"
            yield Violation(text.at, rule)


def _key_violations(part: Any, at: str) -> Iterator[Violation]:
    match part:
        case list() | tuple():
            for i, item in enumerate(part):
                yield from _key_violations(item, f"{at}.{i}")
        case Mapping():
            for key, item in part.items():
                if "{{" in key:
                    rule = f"has the key {key[:80]!r}; a placeholder stands in values only"
                    yield Violation(at, rule)
                yield from _key_violations(item, f"{at}.{key[:80]}")
        case _:
            pass
