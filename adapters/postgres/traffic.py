"""Traffic configs with their variants, and what an operation on one needs and changes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import AlreadyRunning, Conflict, Outdated
from domain.operations import ALWAYS, TrafficChange
from domain.ports import Page
from domain.registry import ConfigStatus, Role, TrafficConfig, TrafficStrategy, TrafficVariant

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
                *_settings(config),
            )
            for variant in config.variants:
                await _create_variant(connection, config.project_id, variant)
            await _require_served(connection, config)

    async def set_config(self, config: TrafficConfig) -> None:
        row = await self._db.row(
            _SQL["set_config"],
            config.project_id,
            config.id,
            config.strategy,
            config.updated_at,
            *_settings(config),
        )
        found(row, "traffic config", config.id)

    async def config(self, project_id: UUID, config_id: UUID) -> TrafficConfig:
        row = await self._db.row(_SQL["config"], project_id, config_id)
        return rows.to_config(found(row, "traffic config", config_id))

    async def configs(
        self,
        project_id: UUID,
        page: Page,
        *,
        service_id: UUID | None = None,
        strategy: TrafficStrategy | None = None,
        status: ConfigStatus | None = None,
    ) -> tuple[Sequence[TrafficConfig], int]:
        return await self._db.page(
            _SQL["configs"],
            project_id,
            page.limit,
            page.offset,
            service_id,
            strategy,
            status,
            to=rows.to_config,
        )


class DueConfigs:
    """The part of the chores that is due: whose time on the cluster is over."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def due(self) -> Sequence[TrafficConfig]:
        due = await self._db.rows(_SQL["due"])
        read = [await self._db.row(_SQL["config"], row["project_id"], row["id"]) for row in due]
        return tuple(rows.to_config(row) for row in read if row is not None)


async def require_unchanged(
    connection: asyncpg.Connection, project_id: UUID, config_id: UUID, change: TrafficChange
) -> None:
    """Lock the config; raise unless it is at rest and as the change found it."""
    await connection.execute(_SQL["lock_config"], project_id, config_id)
    row = await connection.fetchrow(_SQL["config"], project_id, config_id)
    config = rows.to_config(found(row, "traffic config", config_id))
    if rollout := await connection.fetchrow(_SQL["unfinished_rollout"], config_id):
        raise AlreadyRunning(
            "a rollout of this traffic config has not ended", rollout_id=str(rollout["id"])
        )
    if set(config.variants) != set(change.before):
        raise Outdated("the traffic was changed just now; ask again")
    if config.paused and change.kind not in ALWAYS:
        raise Outdated("the traffic config was paused just now")
    if change.after and config.status is not ConfigStatus.ACTIVE:
        raise Conflict(f"the traffic config is {config.status}, not active")


async def apply(
    connection: asyncpg.Connection, project_id: UUID, config_id: UUID, change: TrafficChange
) -> None:
    """Put the variants after the change in the place of those before it."""
    await connection.execute(_SQL["clear_variants"], config_id)
    if not change.after:
        await connection.execute(_SQL["drop_rollouts"], config_id)
        await connection.execute(_SQL["drop_config"], config_id)
        return
    for variant in change.after:
        await _create_variant(connection, project_id, variant)
    if change.serves is not None:
        former = next((v.model_version_id for v in change.before if v.role is Role.STABLE), None)
        await connection.execute(_SQL["serve_version"], config_id, change.serves, former)
    await connection.execute(_SQL["touch_config"], config_id)


def _settings(config: TrafficConfig) -> tuple[Any, ...]:
    return (
        config.paused,
        rows.gates_json(config.default_gates),
        rows.policies_json(config.default_policies),
        config.rollback_window,
        rows.uses_json(config.default_gate_templates),
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
    connection: asyncpg.Connection, project_id: UUID, variant: TrafficVariant
) -> None:
    await connection.execute(
        _SQL["create_variant"],
        variant.id,
        project_id,
        variant.config_id,
        variant.name,
        variant.role,
        variant.model_version_id,
        variant.workload,
        variant.slot,
        variant.weight,
        variant.status,
        variant.joined_at,
        variant.retire_at,
        variant.superseded_at,
        variant.created_at,
        variant.updated_at,
    )
