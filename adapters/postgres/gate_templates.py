"""Templates of gates: names with their versions, of projects and global ones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from adapters.postgres.database import Database, Row
from adapters.postgres.sql import load
from domain.gate_templates.arguments import Argument
from domain.gate_templates.template import (
    GateTemplate,
    TemplateContent,
    no_version,
    retired,
    unknown,
)
from domain.ports import Page

_SQL = load("gate_templates")
_ARGUMENTS = TypeAdapter(tuple[Argument, ...])


class PostgresGateTemplates:
    """Implements `domain.gate_templates.port.GateTemplates`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def add_version(self, template: GateTemplate) -> tuple[GateTemplate, bool]:
        """The name is locked, so that two versions at one moment are numbered one by one."""
        owner = (template.project_id, template.name)
        async with self._db.transaction(f"the gate template {template.name!r}") as connection:
            await connection.execute(_SQL["name"], template.id, *owner, template.created_at)
            locked = await connection.fetchrow(_SQL["lock"], *owner)
            if locked["retired_at"] is not None:
                raise retired(template.name)
            row = await connection.fetchrow(_SQL["version"], *owner, None)
            latest = None if row is None else _template(row)
            if latest is not None and latest.content.canonical == template.content.canonical:
                return latest, False
            version = 1 if latest is None else latest.version + 1
            await connection.execute(
                _SQL["add_version"],
                template.project_id,
                locked["id"],
                version,
                *_columns(template.content),
                template.created_at,
            )
        return replace(template, id=locked["id"], version=version), True

    async def template(
        self, project_id: UUID | None, name: str, version: int | None = None
    ) -> GateTemplate:
        row = await self._db.row(_SQL["version"], project_id, name, version)
        if row is not None:
            return _template(row)
        if version is not None:
            raise no_version(await self.template(project_id, name), version)
        raise unknown(project_id, name)

    async def templates(
        self, project_id: UUID | None, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[GateTemplate], int]:
        return await self._db.page(
            _SQL["templates"], project_id, page.limit, page.offset, name, to=_template
        )

    async def versions(
        self, project_id: UUID | None, name: str, page: Page
    ) -> tuple[Sequence[GateTemplate], int]:
        found, total = await self._db.page(
            _SQL["versions"], project_id, page.limit, page.offset, name, to=_template
        )
        if total == 0:
            raise unknown(project_id, name)
        return found, total

    async def retire(self, project_id: UUID | None, name: str, at: datetime | None) -> None:
        if await self._db.row(_SQL["retire"], project_id, name, at) is None:
            raise unknown(project_id, name)


def _columns(content: TemplateContent) -> tuple[str, str, str]:
    arguments = _ARGUMENTS.dump_json(content.arguments).decode()
    return content.description, arguments, to_json(content.gates).decode()


def _template(row: Row) -> GateTemplate:
    gates: Sequence[dict[str, Any]] = from_json(row["gates"])
    return GateTemplate(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        version=row["version"],
        content=TemplateContent(
            description=row["description"],
            arguments=_ARGUMENTS.validate_json(row["arguments"]),
            gates=tuple(gates),
        ),
        created_at=row["created_at"],
        retired_at=row["retired_at"],
    )
