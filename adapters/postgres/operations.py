"""One-shot changes: begun under a lock on their subject, ended together with what they change."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows, traffic, virtual_models
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.operations import Ending, Operation, OperationPhase, TrafficChange
from domain.ports import Page

_SQL = load("operations")


class Operations:
    """The part of the registry that knows the operations."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def begin(self, operation: Operation) -> None:
        async with self._db.transaction(f"the operation {operation.summary!r}") as connection:
            await _require_unchanged(connection, operation)
            await connection.execute(
                _SQL["begin"],
                operation.id,
                operation.project_id,
                operation.subject,
                operation.subject_id,
                rows.text(operation.summary),
                rows.change_json(operation.change),
                operation.phase,
                rows.text(operation.detail),
                rows.text(operation.actor),
                rows.text(operation.reason),
                operation.created_at,
            )

    async def discard(self, operation: Operation) -> None:
        await self._db.row(_SQL["discard"], operation.project_id, operation.id)

    async def operation(self, project_id: UUID, operation_id: UUID) -> Operation:
        row = await self._db.row(_SQL["operation"], project_id, operation_id)
        return rows.to_operation(found(row, "operation", operation_id))

    async def operations(
        self, project_id: UUID, page: Page, *, subject_id: UUID | None = None
    ) -> tuple[Sequence[Operation], int]:
        return await self._db.page(
            _SQL["operations"],
            project_id,
            page.limit,
            page.offset,
            subject_id,
            to=rows.to_operation,
        )

    async def live_operation(self, project_id: UUID, subject_id: UUID) -> Operation | None:
        row = await self._db.row(_SQL["live_operation"], project_id, subject_id)
        return None if row is None else rows.to_operation(row)


class RunningOperations:
    """The part of the chores that is cut off: nobody carries them out."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def running(self) -> Sequence[Operation]:
        return tuple(map(rows.to_operation, await self._db.rows(_SQL["running"])))


class OperationEndings:
    """The part of the journal that ends operations."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def operation_ended(self, operation_id: UUID, ending: Ending) -> None:
        what = f"the end of operation {operation_id}"
        async with self._db.transaction(what) as connection:
            row = await connection.fetchrow(_SQL["lock_operation"], operation_id)
            operation = rows.to_operation(found(row, "operation", operation_id))
            if operation.phase.is_final or operation.phase is ending.phase:
                return
            done = ending.phase is not OperationPhase.UNDONE
            if done and operation.phase is OperationPhase.RUNNING:
                await _apply(connection, operation)
            await connection.execute(
                _SQL["end_operation"],
                operation_id,
                ending.phase,
                ending.phase.is_final,
                ending.problem,
                rows.text(ending.detail),
            )


async def _require_unchanged(connection: asyncpg.Connection, operation: Operation) -> None:
    ids = (operation.project_id, operation.subject_id)
    match operation.change:
        case TrafficChange() as change:
            await traffic.require_unchanged(connection, *ids, change)
        case change:
            await virtual_models.require_unchanged(connection, *ids, change)


async def _apply(connection: asyncpg.Connection, operation: Operation) -> None:
    ids = (operation.project_id, operation.subject_id)
    match operation.change:
        case TrafficChange() as change:
            await traffic.apply(connection, *ids, change)
        case change:
            await virtual_models.apply(connection, *ids, change)
