"""A template: gates as they are written, with placeholders, in versions that never change."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.errors import Conflict, InvalidSpec, NotFound, Violation
from domain.gate_templates.arguments import (
    UNREADABLE_RULE,
    Argument,
    argument_violations,
    is_unreadable,
)
from domain.gate_templates.pins import TemplateScope
from domain.gate_templates.placeholders import usage_violations
from domain.names import LABEL, LABEL_LENGTH, LABEL_RULE
from domain.strategies.gate_rules import MOST_GATES

LONGEST_DOCUMENT = 64 * 1024
DEEPEST = 8

GateDocument = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContent:
    """All that makes a version differ from another: the same content makes no new one."""

    description: str = ""
    arguments: tuple[Argument, ...] = ()
    gates: tuple[GateDocument, ...]

    @property
    def canonical(self) -> str:
        """The content in JSON, the same for the same content. Numbers are told apart as written."""
        arguments = [[a.name, a.type, a.default, a.example, a.description] for a in self.arguments]
        return json.dumps([self.description, arguments, list(self.gates)], sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTemplate:
    """One version of a template. Without a project it is global; retired is a name as a whole.

    `id` is that of the name, which all of its versions share.
    """

    id: UUID
    project_id: UUID | None
    name: str
    version: int
    content: TemplateContent
    created_at: datetime
    retired_at: datetime | None = None

    @property
    def scope(self) -> TemplateScope:
        return TemplateScope.GLOBAL if self.project_id is None else TemplateScope.PROJECT


def require_template(name: str, content: TemplateContent) -> None:
    """Raise InvalidSpec with every rule that a template breaks before it is filled in."""
    violations = [*_name_violations(name), *argument_violations(content.arguments)]
    sizes = list(_size_violations(content))
    # What is too deep or too large is not looked into.
    uses = () if sizes else usage_violations(content.gates, content.arguments)
    if violations := [*violations, *sizes, *uses]:
        raise InvalidSpec(*violations)


def _name_violations(name: str) -> Iterator[Violation]:
    if len(name) > LABEL_LENGTH or not LABEL.fullmatch(name):
        yield Violation("name", f"must be {LABEL_RULE} {LABEL_LENGTH} characters")


def _size_violations(content: TemplateContent) -> Iterator[Violation]:
    if not content.gates:
        yield Violation("gates", "must be at least one")
    if len(content.gates) > MOST_GATES:
        yield Violation("gates", f"must be at most {MOST_GATES}")
    unfit = [
        violation
        for i, gate in enumerate(content.gates)
        for violation in _document_violations(gate, f"gates.{i}", depth=1)
    ]
    yield from unfit
    if not unfit and len(content.canonical) > LONGEST_DOCUMENT:
        yield Violation("gates", f"must be at most {LONGEST_DOCUMENT >> 10} KiB with all the rest")


def _document_violations(part: Any, at: str, *, depth: int) -> Iterator[Violation]:
    """What no gate is made of, and no database keeps."""
    if depth > DEEPEST:
        yield Violation(at, f"must be at most {DEEPEST} levels deep")
        return
    match part:
        case str() if is_unreadable(part):
            yield Violation(at, UNREADABLE_RULE)
        case float() if not math.isfinite(part):
            yield Violation(at, "must be a finite number")
        case list() | tuple():
            for i, item in enumerate(part):
                yield from _document_violations(item, f"{at}.{i}", depth=depth + 1)
        case Mapping():
            for key, item in part.items():
                if is_unreadable(key):
                    yield Violation(at, f"has a key that {UNREADABLE_RULE}")
                yield from _document_violations(item, f"{at}.{key[:80]}", depth=depth + 1)
        case _:
            pass


def unknown(project_id: UUID | None, name: str) -> NotFound:
    """The refusal of a name that is not there, the same wherever templates are kept."""
    where = "that is global" if project_id is None else "in this project"
    return NotFound(f"there is no gate template {name!r} {where}")


def no_version(latest: GateTemplate, version: int) -> NotFound:
    known = f"its latest is {latest.version}"
    return NotFound(f"the gate template {latest.name!r} has no version {version}; {known}")


def retired(name: str) -> Conflict:
    return Conflict(f"the gate template {name!r} is retired; have it back first")
