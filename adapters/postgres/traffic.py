"""Traffic configs with their variants."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import Conflict, Outdated
from domain.ports import Page
from domain.registry import TrafficConfig, TrafficVariant

_SQL = load("traffic")


class Traffic:
    """The part of the registry that says how traffic is divided."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def create_config(self, config: TrafficConfig) -> None:
        what = f"the traffic config of {config.inference_service_name!r}"
        async with self._db.transaction(what) as connection:
            await connection.execute(
                _SQL["create_config"],
                config.id,
                config.project_id,
                config.inference_service_id,
                config.strategy,
                config.status,
                config.status_reason,
                config.namespace,
                config.route_name,
                config.created_at,
                config.updated_at,
            )
            for variant in config.variants:
                await _create_variant(connection, config, variant)
            await _require_served(connection, config)

    async def config(self, project_id: UUID, config_id: UUID) -> TrafficConfig:
        row = await self._db.row(_SQL["config"], project_id, config_id)
        return rows.to_config(found(row, "traffic config", config_id))

    async def configs(
        self, project_id: UUID, page: Page, *, service_id: UUID | None = None
    ) -> tuple[Sequence[TrafficConfig], int]:
        return await self._db.page(
            _SQL["configs"], project_id, page.limit, page.offset, service_id, to=rows.to_config
        )


async def _require_served(connection: asyncpg.Connection, config: TrafficConfig) -> None:
    """The service as it is once the config's row holds it: a change may have come in between."""
    stable = config.stable
    row = await connection.fetchrow(
        _SQL["is_served"], config.inference_service_id, stable and stable.model_version_id
    )
    name = config.inference_service_name
    if not row["deployed"]:
        raise Conflict(f"the inference service {name!r} is undeployed; deploy it first")
    if stable and not row["served"]:
        raise Outdated(f"the inference service {name!r} serves other versions by now; ask again")


async def _create_variant(
    connection: asyncpg.Connection, config: TrafficConfig, variant: TrafficVariant
) -> None:
    await connection.execute(
        _SQL["create_variant"],
        variant.id,
        config.project_id,
        config.id,
        variant.name,
        variant.role,
        variant.model_version_id,
        variant.workload,
        variant.slot,
        variant.weight,
        variant.status,
        variant.created_at,
        variant.updated_at,
    )
