"""Templates of gates for tests."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.gate_templates.arguments import Argument, ArgumentType
from domain.gate_templates.template import GateTemplate, TemplateContent
from tests.projects import NOW

LIMIT = Argument(name="limit", type=ArgumentType.NUMBER, default=0.02)
A_GATE = {"name": "errors", "metric": "error_rate", "limit": "{{args.limit}}"}


def an_argument(kind: str, name: str = "a", **changes: Any) -> Argument:
    return Argument(name=name, type=ArgumentType(kind), **changes)


def a_content(*gates: dict[str, Any], **changes: Any) -> TemplateContent:
    given: dict[str, Any] = {"gates": gates or (A_GATE,), "arguments": (LIMIT,)}
    return TemplateContent(**(given | changes))


def a_template(
    project_id: UUID | None, name: str = "slo", *, after: timedelta = timedelta(0), **changes: Any
) -> GateTemplate:
    given: dict[str, Any] = {"content": a_content(), "version": 1}
    return GateTemplate(
        id=uuid4(), project_id=project_id, name=name, created_at=NOW + after, **(given | changes)
    )
