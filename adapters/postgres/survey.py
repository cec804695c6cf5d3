"""The registry as metrics look over it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from adapters.postgres.database import Database, Row
from adapters.postgres.sql import load
from domain.names import workload_name
from domain.registry import Role
from domain.rollout import Phase
from domain.survey import (
    Standing,
    StandingRollouts,
    StandingVariant,
    StandingVerdict,
    TokenBearer,
)
from domain.traffic import Route
from domain.verdicts import Status

_SQL = load("survey")


class PostgresSurvey:
    """Implements `domain.ports.Survey`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def service_named(self, project_id: UUID, name: str) -> UUID | None:
        row = await self._db.row(_SQL["service_named"], project_id, name)
        return None if row is None else row["id"]

    async def configs_with(self, project_id: UUID, variants: Sequence[str]) -> Sequence[UUID]:
        found = await self._db.rows(_SQL["configs_with"], project_id, list(variants))
        return tuple(row["id"] for row in found)

    async def token_bearers(self, project_id: UUID, since: datetime) -> Sequence[TokenBearer]:
        divided = await self._db.rows(_SQL["token_bearers"], project_id, since)
        bare = await self._db.rows(_SQL["bare_services"], project_id)
        return (*(TokenBearer(**row) for row in divided), *map(_bearer, bare))

    async def standing(self, since: datetime) -> Standing:
        variants = await self._db.rows(_SQL["standing_variants"])
        rollouts = await self._db.rows(_SQL["standing_rollouts"], since)
        verdicts = await self._db.rows(_SQL["standing_verdicts"], since)
        return Standing(
            variants=tuple(map(_variant, variants)),
            rollouts=tuple(
                StandingRollouts(**{**row, "phase": Phase(row["phase"])}) for row in rollouts
            ),
            verdicts=tuple(
                StandingVerdict(**{**row, "status": Status(row["status"])}) for row in verdicts
            ),
        )


def _bearer(row: Row) -> TokenBearer:
    workload = workload_name(row["name"], row["version_name"], row["id"], *row["version_ids"])
    return TokenBearer(model=row["name"], variant=None, workload=workload)


def _variant(row: Row) -> StandingVariant:
    return StandingVariant(
        route=Route(
            project_id=row["project_id"],
            config_id=row["config_id"],
            namespace=row["namespace"],
            name=row["route_name"],
            model=row["model"],
        ),
        name=row["name"],
        role=Role(row["role"]),
        version=row["version"],
        workload=row["workload"],
        slot=row["slot"],
        weight=row["weight"],
    )
