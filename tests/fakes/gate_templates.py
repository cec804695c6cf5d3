"""Templates of gates in memory, with the refusals of the real ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.gate_templates.port import GateTemplates
from domain.gate_templates.template import GateTemplate, no_version, retired, unknown
from domain.ports import Page

Name = tuple[UUID | None, str]


class MemoryGateTemplates(GateTemplates):
    def __init__(self) -> None:
        # The versions of each name, the first one first.
        self._kept: dict[Name, list[GateTemplate]] = {}

    async def add_version(self, template: GateTemplate) -> tuple[GateTemplate, bool]:
        kept = self._kept.setdefault((template.project_id, template.name), [])
        if kept and kept[-1].retired_at is not None:
            raise retired(template.name)
        if kept and kept[-1].content.canonical == template.content.canonical:
            return kept[-1], False
        its_id = kept[0].id if kept else template.id
        kept.append(replace(template, id=its_id, version=len(kept) + 1))
        return kept[-1], True

    async def template(
        self, project_id: UUID | None, name: str, version: int | None = None
    ) -> GateTemplate:
        kept = self._of(project_id, name)
        if version is None:
            return kept[-1]
        if not 1 <= version <= len(kept):
            raise no_version(kept[-1], version)
        return kept[version - 1]

    async def templates(
        self, project_id: UUID | None, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[GateTemplate], int]:
        found = [
            kept
            for (owner, called), kept in self._kept.items()
            if owner == project_id and name in (None, called)
        ]
        found.sort(key=lambda kept: kept[0].id)
        found.sort(key=lambda kept: kept[0].created_at, reverse=True)
        return _paged([kept[-1] for kept in found], page)

    async def versions(
        self, project_id: UUID | None, name: str, page: Page
    ) -> tuple[Sequence[GateTemplate], int]:
        return _paged(self._of(project_id, name)[::-1], page)

    async def retire(self, project_id: UUID | None, name: str, at: datetime | None) -> None:
        kept = self._of(project_id, name)
        since = at and (kept[-1].retired_at or at)
        kept[:] = [replace(one, retired_at=since) for one in kept]

    def _of(self, project_id: UUID | None, name: str) -> list[GateTemplate]:
        kept = self._kept.get((project_id, name))
        if kept is None:
            raise unknown(project_id, name)
        return kept


def _paged(found: list[GateTemplate], page: Page) -> tuple[tuple[GateTemplate, ...], int]:
    return tuple(found[page.offset : page.offset + page.limit]), len(found)
