"""Registered models, versions, environments and inference services."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.ports import Page
from domain.registry import InferenceService, ModelVersion, RegisteredModel, ServingEnvironment

_SQL = load("catalog")


class Catalog:
    """The part of the registry that says what can be served and where."""

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
        self, project_id: UUID, page: Page, *, model_id: UUID | None = None
    ) -> tuple[Sequence[ModelVersion], int]:
        return await self._db.page(
            _SQL["versions"], project_id, page.limit, page.offset, model_id, to=rows.to_version
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

    async def create_service(self, service: InferenceService) -> None:
        await self._db.row(
            _SQL["create_service"],
            service.id,
            service.project_id,
            service.serving_environment_id,
            service.registered_model_id,
            service.model_version_id,
            service.name,
            service.desired_state,
            service.current_state,
            service.state_reason,
            service.created_at,
            service.updated_at,
            what=f"the inference service {service.name!r}",
        )

    async def service(self, project_id: UUID, service_id: UUID) -> InferenceService:
        row = await self._db.row(_SQL["service"], project_id, service_id)
        return rows.to_service(found(row, "inference service", service_id))

    async def services(
        self, project_id: UUID, page: Page, *, environment_id: UUID | None = None
    ) -> tuple[Sequence[InferenceService], int]:
        return await self._db.page(
            _SQL["services"],
            project_id,
            page.limit,
            page.offset,
            environment_id,
            to=rows.to_service,
        )
