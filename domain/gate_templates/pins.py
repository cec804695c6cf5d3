"""What a rollout keeps of the templates that it started with: the wire's part of the package."""

from dataclasses import dataclass
from enum import StrEnum

from domain.gate_templates.arguments import Value


class TemplateScope(StrEnum):
    """Whose a template is: one project's, or everybody's."""

    PROJECT = "project"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedArgument:
    name: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePin:
    """Which version it was, and what that was filled in with, defaults included."""

    name: str
    scope: TemplateScope
    version: int
    arguments: tuple[PinnedArgument, ...] = ()
