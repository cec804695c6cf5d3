"""Registered models, versions and environments."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.changes import delete, require_same, require_unchanged, require_unused
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.ports import Page
from domain.registry import ModelVersion, RegisteredModel, ServingEnvironment

_SQL = load("catalog")


class Catalog:
    """The part of the registry that says what can be served and where it could be."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def create_model(self, model: RegisteredModel) -> None:
        await self._db.row(
            _SQL["create_model"],
            model.id,
            model.project_id,
            model.name,
            model.description,
            model.created_at,
            model.updated_at,
            what=f"the registered model {model.name!r}",
        )

    async def model(self, project_id: UUID, model_id: UUID) -> RegisteredModel:
        row = await self._db.row(_SQL["model"], project_id, model_id)
        return rows.to_model(found(row, "registered model", model_id))

    async def models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[RegisteredModel], int]:
        return await self._db.page(
            _SQL["models"], project_id, page.limit, page.offset, name, to=rows.to_model
        )

    async def change_model(self, before: RegisteredModel, after: RegisteredModel) -> None:
        what = f"the registered model {after.name!r}"
        row = await self._db.row(
            _SQL["change_model"],
            before.project_id,
            before.id,
            before.updated_at,
            after.name,
            after.description,
            after.updated_at,
            what=what,
        )
        require_unchanged(row, what)

    async def delete_model(self, project_id: UUID, model_id: UUID) -> None:
        await delete(
            self._db,
            "registered model",
            (project_id, model_id),
            query=_SQL["delete_model"],
            user=_SQL["user_of_model"],
        )

    async def create_version(self, version: ModelVersion) -> None:
        await self._db.row(
            _SQL["create_version"],
            version.id,
            version.project_id,
            version.registered_model_id,
            version.name,
            version.uri,
            version.model_format,
            version.runtime,
            version.description,
            version.created_at,
            version.updated_at,
            what=f"the model version {version.name!r}",
        )

    async def version(self, project_id: UUID, version_id: UUID) -> ModelVersion:
        row = await self._db.row(_SQL["version"], project_id, version_id)
        return rows.to_version(found(row, "model version", version_id))

    async def versions(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        model_id: UUID | None = None,
    ) -> tuple[Sequence[ModelVersion], int]:
        return await self._db.page(
            _SQL["versions"],
            project_id,
            page.limit,
            page.offset,
            name,
            model_id,
            to=rows.to_version,
        )

    async def change_version(self, before: ModelVersion, after: ModelVersion) -> None:
        what = f"model version {before.name!r}"
        row = await self._db.row(
            _SQL["change_version"],
            before.project_id,
            before.id,
            before.updated_at,
            after.description,
            after.updated_at,
            what=what,
        )
        require_unchanged(row, what)

    async def delete_version(self, project_id: UUID, version_id: UUID) -> None:
        await delete(
            self._db,
            "model version",
            (project_id, version_id),
            query=_SQL["delete_version"],
            user=_SQL["user_of_version"],
        )

    async def create_environment(self, environment: ServingEnvironment) -> None:
        await self._db.row(
            _SQL["create_environment"],
            environment.id,
            environment.project_id,
            environment.name,
            environment.external_id,
            environment.description,
            environment.created_at,
            environment.updated_at,
            what=f"the serving environment {environment.name!r}",
        )

    async def environment(self, project_id: UUID, environment_id: UUID) -> ServingEnvironment:
        row = await self._db.row(_SQL["environment"], project_id, environment_id)
        return rows.to_environment(found(row, "serving environment", environment_id))

    async def environments(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[ServingEnvironment], int]:
        return await self._db.page(
            _SQL["environments"], project_id, page.limit, page.offset, name, to=rows.to_environment
        )

    async def change_environment(
        self, before: ServingEnvironment, after: ServingEnvironment
    ) -> None:
        what, ids = f"the serving environment {after.name!r}", (before.project_id, before.id)
        async with self._db.transaction(what) as connection:
            row = await connection.fetchrow(_SQL["lock_environment"], *ids)
            require_same(row, before.updated_at, what)
            if after.namespace != before.namespace:
                user = await connection.fetchrow(_SQL["user_of_environment"], *ids)
                require_unused(f"the namespace {before.namespace!r}", user)
            await connection.execute(
                _SQL["change_environment"],
                *ids,
                after.name,
                after.external_id,
                after.description,
                after.updated_at,
            )

    async def delete_environment(self, project_id: UUID, environment_id: UUID) -> None:
        await delete(
            self._db,
            "serving environment",
            (project_id, environment_id),
            query=_SQL["delete_environment"],
            user=_SQL["user_of_environment"],
        )
