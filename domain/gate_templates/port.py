"""Where templates are kept, as the API asks for it; see `domain.ports`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.gate_templates.template import GateTemplate
from domain.ports import Page


class GateTemplates(Protocol):
    """The templates of projects, and the global ones, which are those of the project None.

    Nothing is ever found by the wrong project, nor by a project what is global.
    """

    async def add_version(self, template: GateTemplate) -> tuple[GateTemplate, bool]:
        """Store the content as the name's next version, and say that it is new.

        Where the latest version has the same content, give that back, and False. The template's own
        version number means nothing, nor its id where the name is known. Raises Conflict for a
        retired name.
        """

    async def template(
        self, project_id: UUID | None, name: str, version: int | None = None
    ) -> GateTemplate:
        """That version, or the latest. Raises NotFound, for a name or a version in its words."""

    async def templates(
        self, project_id: UUID | None, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[GateTemplate], int]:
        """The latest version of each name, the newest name first."""

    async def versions(
        self, project_id: UUID | None, name: str, page: Page
    ) -> tuple[Sequence[GateTemplate], int]:
        """All versions of a name, the latest first. Raises NotFound for an unknown name."""

    async def retire(self, project_id: UUID | None, name: str, at: datetime | None) -> None:
        """Retire the name at this time, or for None have it back. Raises NotFound.

        One that is retired already stays so since when it was.
        """
