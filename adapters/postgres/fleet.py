"""Freeze windows, groups of rollouts, and whose turn it is in each."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.changes import require_unchanged, require_unused
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import NotFound
from domain.fleet import FleetPolicies, FreezeWindow, Group
from domain.ports import Page

_SQL = load("fleet")


class PostgresFleet:
    """Implements `domain.ports.Fleet`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def create_window(self, window: FreezeWindow) -> None:
        await self._db.row(
            _SQL["create_window"],
            window.id,
            window.project_id,
            window.name,
            window.reason,
            rows.times_json(window.times),
            window.groups,
            window.created_at,
            window.updated_at,
            what=f"the freeze window {window.name!r}",
        )

    async def window(self, project_id: UUID, window_id: UUID) -> FreezeWindow:
        row = await self._db.row(_SQL["window"], project_id, window_id)
        return rows.to_freeze_window(found(row, "freeze window", window_id))

    async def windows(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[FreezeWindow], int]:
        return await self._db.page(
            _SQL["windows"], project_id, page.limit, page.offset, name, to=rows.to_freeze_window
        )

    async def change_window(self, before: FreezeWindow, after: FreezeWindow) -> None:
        what = f"the freeze window {after.name!r}"
        row = await self._db.row(
            _SQL["change_window"],
            before.project_id,
            before.id,
            before.updated_at,
            after.name,
            after.reason,
            rows.times_json(after.times),
            after.groups,
            after.updated_at,
            what=what,
        )
        require_unchanged(row, what)

    async def delete_window(self, project_id: UUID, window_id: UUID) -> None:
        row = await self._db.row(_SQL["delete_window"], project_id, window_id)
        found(row, "freeze window", window_id)

    async def create_group(self, group: Group) -> None:
        await self._db.row(
            _SQL["create_group"],
            group.id,
            group.project_id,
            group.name,
            group.limit,
            group.created_at,
            group.updated_at,
            what=f"the rollout group {group.name!r}",
        )

    async def group(self, project_id: UUID, name: str) -> Group:
        row = await self._db.row(_SQL["group"], project_id, name)
        if row is None:
            raise _no_group(name)
        return rows.to_group(row)

    async def groups(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[Group], int]:
        return await self._db.page(
            _SQL["groups"], project_id, page.limit, page.offset, name, to=rows.to_group
        )

    async def change_group(self, before: Group, after: Group) -> None:
        row = await self._db.row(
            _SQL["change_group"],
            before.project_id,
            before.id,
            before.updated_at,
            after.limit,
            after.updated_at,
        )
        require_unchanged(row, f"the rollout group {before.name!r}")

    async def delete_group(self, project_id: UUID, name: str) -> None:
        """Nobody can join while the group is locked; whoever wants to then finds it gone."""
        what = f"the rollout group {name!r}"
        async with self._db.transaction(what) as connection:
            group_id = await _locked(connection, project_id, name)
            user = await connection.fetchrow(_SQL["user_of_group"], project_id, group_id, name)
            require_unused(what, user)
            await connection.execute(_SQL["delete_group"], project_id, group_id)

    async def policies(self, project_id: UUID, group: str | None) -> FleetPolicies:
        told = await self._db.rows(_SQL["all_windows"], project_id)
        windows = tuple(map(rows.to_freeze_window, told))
        if group is None:
            return FleetPolicies(windows=windows)
        known = await self.group(project_id, group)
        waiting = await self._db.rows(_SQL["queue"], project_id, known.id)
        queue = tuple(map(rows.to_queue_entry, waiting))
        return FleetPolicies(windows=windows, group=known, queue=queue)

    async def ask(self, project_id: UUID, rollout_id: UUID, group: str | None) -> FleetPolicies:
        """Only who is new to the queue takes the lock: those that wait ask every few seconds."""
        policies = await self.policies(project_id, group)
        if group is None or any(entry.rollout_id == rollout_id for entry in policies.queue):
            return policies
        what = f"the turn of rollout {rollout_id} in group {group!r}"
        async with self._db.transaction(what) as connection:
            group_id = await _locked(connection, project_id, group)
            await connection.execute(_SQL["join_queue"], rollout_id, project_id, group_id)
        return await self.policies(project_id, group)

    async def leave(self, rollout_id: UUID) -> None:
        await self._db.row(_SQL["leave_queue"], rollout_id)


async def _locked(connection: asyncpg.Connection, project_id: UUID, name: str) -> UUID:
    """Lock the group until the transaction ends. Raises NotFound."""
    group_id: UUID | None = await connection.fetchval(_SQL["lock_group"], project_id, name)
    if group_id is None:
        raise _no_group(name)
    return group_id


def _no_group(name: str) -> NotFound:
    return NotFound(f"there is no rollout group {name!r} in this project")
