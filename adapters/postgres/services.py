"""Inference services with the versions that they serve."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.changes import require_same, require_unchanged, require_unused
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import InUse
from domain.ports import Page
from domain.registry import InferenceService, ServiceState

_SQL = load("services")


class Services:
    """The part of the registry that says what is served."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def create_service(self, service: InferenceService) -> None:
        what = f"the inference service {service.name!r}"
        async with self._db.transaction(what) as connection:
            await connection.execute(
                _SQL["create_service"],
                service.id,
                service.project_id,
                service.serving_environment_id,
                service.registered_model_id,
                service.name,
                service.description,
                service.desired_state,
                service.current_state,
                service.state_reason,
                rows.workloads_json(service.leaving),
                service.created_at,
                service.updated_at,
                service.protocol,
            )
            await _serve(connection, service)

    async def service(self, project_id: UUID, service_id: UUID) -> InferenceService:
        row = await self._db.row(_SQL["service"], project_id, service_id)
        return rows.to_service(found(row, "inference service", service_id))

    async def services(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        environment_id: UUID | None = None,
        model_id: UUID | None = None,
        desired_state: ServiceState | None = None,
        current_state: ServiceState | None = None,
    ) -> tuple[Sequence[InferenceService], int]:
        return await self._db.page(
            _SQL["services"],
            project_id,
            page.limit,
            page.offset,
            name,
            environment_id,
            model_id,
            desired_state,
            current_state,
            to=rows.to_service,
        )

    async def change_service(
        self, before: InferenceService, after: InferenceService, *, unused: bool
    ) -> None:
        what, ids = f"the inference service {before.name!r}", (before.project_id, before.id)
        async with self._db.transaction(what) as connection:
            row = await connection.fetchrow(_SQL["lock_service"], *ids)
            require_same(row, before.updated_at, what)
            if unused:
                require_unused(what, await connection.fetchrow(_SQL["user_of_service"], *ids))
            await connection.execute(
                _SQL["change_service"],
                *ids,
                after.description,
                after.desired_state,
                after.current_state,
                rows.text(after.state_reason),
                rows.workloads_json(after.leaving),
                after.updated_at,
            )
            if after.served_models != before.served_models:
                await connection.execute(_SQL["serve_no_more"], *ids)
                await _serve(connection, after)

    async def delete_service(self, service: InferenceService) -> None:
        what, ids = f"the inference service {service.name!r}", (service.project_id, service.id)
        try:
            row = await self._db.row(_SQL["delete_service"], *ids, service.updated_at, what=what)
        except InUse:
            require_unused(what, await self._db.row(_SQL["user_of_service"], *ids))
            raise
        require_unchanged(row, what)


async def _serve(connection: asyncpg.Connection, service: InferenceService) -> None:
    versions = list(service.model_version_ids)
    await connection.execute(_SQL["serve"], service.project_id, service.id, versions)
