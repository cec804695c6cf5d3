"""Virtual models with their backends. What changes a route comes in with an operation's end."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import NotFound, Outdated
from domain.ports import Page
from domain.virtual_models import VirtualChangeKind, VirtualModel, VirtualModelChange

_SQL = load("virtual_models")


class VirtualModels:
    """The part of the registry that says which backends answer to which name."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def create_virtual_model(self, model: VirtualModel) -> None:
        await self._db.row(
            _SQL["create"],
            model.id,
            model.project_id,
            model.name,
            model.description,
            model.namespace,
            model.route_name,
            model.created_at,
            model.updated_at,
            what=f"the virtual model {model.name!r}",
        )

    async def virtual_model(self, project_id: UUID, name: str) -> VirtualModel:
        row = await self._db.row(_SQL["by_name"], project_id, name)
        if row is None:
            raise NotFound(f"there is no virtual model {name!r} in this project")
        return rows.to_virtual_model(row)

    async def virtual_models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[VirtualModel], int]:
        return await self._db.page(
            _SQL["listed"], project_id, page.limit, page.offset, name, to=rows.to_virtual_model
        )

    async def describe_virtual_model(
        self, project_id: UUID, model_id: UUID, description: str, at: datetime
    ) -> None:
        row = await self._db.row(_SQL["describe"], project_id, model_id, description, at)
        found(row, "virtual model", model_id)


async def require_unchanged(
    connection: asyncpg.Connection, project_id: UUID, model_id: UUID, change: VirtualModelChange
) -> None:
    """Lock the model until the transaction ends. Raises Outdated where its backends differ."""
    row = await connection.fetchrow(_SQL["lock"], project_id, model_id)
    if rows.backends_of(found(row, "virtual model", model_id)) != change.before:
        raise Outdated("the backends of the virtual model were changed just now; ask again")


async def apply(
    connection: asyncpg.Connection, project_id: UUID, model_id: UUID, change: VirtualModelChange
) -> None:
    """Have the registry say what the gateway does."""
    if change.kind is VirtualChangeKind.DELETE_VIRTUAL_MODEL:
        await connection.execute(_SQL["delete"], project_id, model_id)
        return
    staying = [backend.id for backend in change.after]
    await connection.execute(_SQL["drop_backends"], project_id, model_id, staying)
    for backend in change.after:
        await connection.execute(
            _SQL["put_backend"],
            backend.id,
            project_id,
            model_id,
            backend.name,
            backend.namespace,
            backend.model_name_override,
            backend.weight,
            backend.priority,
            backend.position,
            backend.created_at,
            backend.updated_at,
        )
    await connection.execute(_SQL["touch"], project_id, model_id)
