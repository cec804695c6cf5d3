"""A template as somebody names it: a rollout, or a traffic config for its rollouts to come."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.gate_templates.arguments import Value
from domain.gate_templates.pins import TemplateScope


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUse:
    """Without a version the latest is meant; without a scope the project's, else the global one."""

    name: str
    version: int | None = None
    scope: TemplateScope | None = None
    arguments: tuple[tuple[str, Value], ...] = ()

    @property
    def given(self) -> Mapping[str, Value]:
        """The arguments by name."""
        return dict(self.arguments)
