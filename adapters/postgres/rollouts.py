"""Rollouts and their history, as the API and the guardian read them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Database, Row, found
from adapters.postgres.sql import load
from adapters.postgres.wake import Wake
from domain.errors import AlreadyRunning, Conflict, Outdated, Unreachable
from domain.plan import Plan
from domain.ports import Page
from domain.rollout import Event, Phase, Rollout

_SQL = load("rollouts")
_EVENTS_AT_ONCE = 500
_LOOK_EVERY_SECONDS = 5.0


class Rollouts:
    """The part of the registry that knows the rollouts. Only the journal changes them later."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)
        self._wake = Wake(self._db)

    async def create_rollout(
        self, rollout: Rollout, *, idempotency_key: str | None, request_hash: str
    ) -> Rollout:
        async with self._db.transaction(f"the rollout {rollout.id}") as connection:
            config = await connection.fetchrow(
                _SQL["lock_config"], rollout.project_id, rollout.config_id
            )
            if config is not None and config["paused"]:
                raise Outdated("the traffic config was paused just now")
            running = await connection.fetchrow(_SQL["running_operation"], rollout.config_id)
            if running is not None:
                raise AlreadyRunning(
                    f"the operation {running['summary']!r} has not ended",
                    operation_id=str(running["id"]),
                )
            held = await connection.fetch(_SQL["holders"], rollout.config_id)
            if not _is_all(rollout.plan, {(row["workload"], row["slot"]) for row in held}):
                return await self._known(rollout, idempotency_key, request_hash)
            created = await connection.fetchrow(
                _SQL["create_rollout"], *_columns(rollout), idempotency_key, request_hash
            )
        if created is not None:
            return rollout
        return await self._known(rollout, idempotency_key, request_hash)

    async def _known(self, rollout: Rollout, key: str | None, request_hash: str) -> Rollout:
        row = await self._db.row(_SQL["rollout_of_key"], rollout.project_id, key)
        return _same_request(row, key, request_hash)

    async def discard_rollout(self, project_id: UUID, rollout_id: UUID) -> None:
        await self._db.row(_SQL["discard_rollout"], project_id, rollout_id)
        if await self._found(project_id, rollout_id):
            raise Conflict(f"the rollout {rollout_id} has started and cannot be forgotten")

    async def rollout(self, project_id: UUID, rollout_id: UUID) -> Rollout:
        row = await self._db.row(_SQL["rollout"], project_id, rollout_id)
        return rows.to_rollout(found(row, "rollout", rollout_id))

    async def rollouts(
        self,
        project_id: UUID,
        page: Page,
        *,
        config_id: UUID | None = None,
        phase: Phase | None = None,
    ) -> tuple[Sequence[Rollout], int]:
        return await self._db.page(
            _SQL["rollouts"],
            project_id,
            page.limit,
            page.offset,
            config_id,
            phase,
            to=rows.to_rollout,
        )

    async def live_rollout(self, project_id: UUID, config_id: UUID) -> Rollout | None:
        row = await self._db.row(_SQL["live_rollout"], project_id, config_id)
        return None if row is None else rows.to_rollout(row)

    async def events(
        self, project_id: UUID, rollout_id: UUID, *, after: int, limit: int
    ) -> Sequence[Event]:
        told = await self._db.rows(_SQL["events"], project_id, rollout_id, after, limit)
        if not told:
            found(await self._found(project_id, rollout_id), "rollout", rollout_id)
        return tuple(map(rows.to_event, told))

    async def follow(
        self, project_id: UUID, rollout_id: UUID, *, after: int
    ) -> AsyncIterator[Event]:
        """An outage of the database is waited out: the follower sees a pause and no gap."""
        found(await self._found(project_id, rollout_id), "rollout", rollout_id)
        async with self._wake.of(rollout_id) as woken:
            while True:
                woken.clear()
                told = await self._told(project_id, rollout_id, after)
                for event in told:
                    after = event.id
                    yield event
                if len(told) < _EVENTS_AT_ONCE:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(woken.wait(), _LOOK_EVERY_SECONDS)

    async def _told(self, project_id: UUID, rollout_id: UUID, after: int) -> Sequence[Event]:
        try:
            told = await self._db.rows(
                _SQL["events"], project_id, rollout_id, after, _EVENTS_AT_ONCE
            )
        except Unreachable:
            return ()
        return tuple(map(rows.to_event, told))

    async def ready(self) -> None:
        await self._db.row(_SQL["ready"])

    async def _found(self, project_id: UUID, rollout_id: UUID) -> Row | None:
        return await self._db.row(_SQL["rollout_exists"], project_id, rollout_id)


class PostgresPatrol:
    """What the guardian looks at: rollouts of all projects."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def unfinished(self) -> Sequence[Rollout]:
        return tuple(map(rows.to_rollout, await self._db.rows(_SQL["unfinished"])))


def _columns(rollout: Rollout) -> Iterator[Any]:
    yield rollout.id
    yield rollout.project_id
    yield rollout.config_id
    yield rows.plan_json(rollout.plan)
    yield rollout.phase
    yield rollout.phase_reason
    yield rollout.step
    yield rollout.candidate_weight
    yield rows.text(rollout.actor)
    yield rows.text(rollout.reason)
    yield rollout.workflow_id
    yield rollout.run_id
    yield rollout.created_at
    yield rollout.updated_at
    yield rollout.ended_at


def _same_request(row: Row | None, key: str | None, request_hash: str) -> Rollout:
    """The rollout that the key named before, if it was asked for in the same words."""
    if row is None:
        raise Outdated("the traffic was changed just now; ask again")
    if row["request_hash"] != request_hash:
        raise Conflict(f"the idempotency key {key!r} was used for another request")
    return rows.to_rollout(row)


def _is_all(plan: Plan, held: set[tuple[str, int]]) -> bool:
    """Whether the plan knows of every variant that holds a slot, and of no other."""
    challengers = {(one.workload.name, one.slot) for one in plan.challengers}
    known = {(v.workload.name, v.slot) for v in (plan.stable, *plan.bystanders)}
    return held - challengers == known
