"""What the workflows write down: events, and what each changes in the projection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.database import Row, found
from adapters.postgres.operations import OperationEndings
from adapters.postgres.sql import load
from domain.division import FORMER_KEPT
from domain.errors import InvalidSpec, Violation
from domain.plan import Variant
from domain.registry import ConfigStatus, ServiceState
from domain.rollout import Entry

_SQL = load("journal")


class PostgresJournal(OperationEndings):
    """Implements `domain.ports.Journal`.

    The rollout's row is locked first: writers of one rollout take turns, and with them the ids of
    its events. An entry whose key stands already changes nothing at all.
    """

    async def record(self, rollout_id: UUID, entries: Sequence[Entry]) -> None:
        async with self._db.transaction(f"the history of rollout {rollout_id}") as connection:
            row = await connection.fetchrow(_SQL["lock_rollout"], rollout_id)
            page = _Page.of(connection, rollout_id, found(row, "rollout", rollout_id))
            fresh = [await page.record(entry) for entry in entries]
            if any(fresh):
                await connection.execute(_SQL["notify"], rollout_id)

    async def service_state(
        self, service_id: UUID, state: ServiceState, reason: str, gone: Sequence[str] = ()
    ) -> None:
        row = await self._db.row(
            _SQL["service_state"], service_id, state, rows.text(reason), list(gone)
        )
        found(row, "inference service", service_id)

    async def forget_service(self, service_id: UUID) -> None:
        what = f"inference service {service_id}"
        await self._db.row(_SQL["forget_service"], service_id, what=what)

    async def config_status(self, config_id: UUID, status: ConfigStatus, reason: str) -> None:
        row = await self._db.row(
            _SQL["config_status"],
            config_id,
            status,
            rows.text(reason),
            what=f"the status of traffic config {config_id}",
        )
        found(row, "traffic config", config_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """One rollout's history, locked in a transaction. `versions` are its variants by plan name."""

    connection: asyncpg.Connection
    rollout_id: UUID
    project_id: UUID
    config_id: UUID
    service_id: UUID
    stable_version_id: UUID
    stable: str
    versions: Mapping[str, UUID]

    @classmethod
    def of(cls, connection: asyncpg.Connection, rollout_id: UUID, row: Row) -> "_Page":
        return cls(
            connection=connection,
            rollout_id=rollout_id,
            project_id=row["project_id"],
            config_id=row["config_id"],
            service_id=row["service_id"],
            stable_version_id=row["stable_version_id"],
            stable=row["stable_name"],
            versions=rows.versions_of(row["versions"]),
        )

    async def record(self, entry: Entry) -> bool:
        """Append the entry and apply it; False if its key stands already."""
        if not await self._append(entry):
            return False
        if entry.joined:
            await self._join(entry.joined, entry)
        if entry.weights:
            await self._set_weights(entry.weights, entry)
        if entry.promoted:
            await self._promote(entry.promoted, entry)
        if entry.left:
            await self._leave(entry.left, entry)
        await self._advance(entry)
        return True

    async def _append(self, entry: Entry) -> bool:
        event_id = await self.connection.fetchval(
            _SQL["append_event"],
            self.project_id,
            self.rollout_id,
            entry.key,
            entry.kind,
            rows.text(entry.message),
            entry.at,
            entry.step,
            rows.data_json(entry.data),
        )
        return event_id is not None

    async def _join(self, variant: Variant, entry: Entry) -> None:
        await self.connection.execute(
            _SQL["join_variant"],
            self.project_id,
            self.config_id,
            variant.name,
            variant.version_id,
            variant.workload.name,
            variant.slot,
            entry.at,
        )

    async def _set_weights(self, weights: dict[str, int], entry: Entry) -> None:
        strangers = sorted(weights.keys() - self.versions.keys())
        if strangers:
            rule = "is no variant of the rollout's plan"
            raise InvalidSpec(*(Violation(f"weights.{name}", rule) for name in strangers))
        await self.connection.execute(
            _SQL["set_weights"],
            self.config_id,
            [self.versions[name] for name in weights],
            list(weights.values()),
            entry.at,
        )

    async def _promote(self, variant: Variant, entry: Entry) -> None:
        version = variant.version_id
        await self.connection.execute(_SQL["demote_others"], self.config_id, version, entry.at)
        await self.connection.execute(
            _SQL["promote_variant"],
            self.project_id,
            self.config_id,
            version,
            variant.workload.name,
            variant.slot,
            entry.at,
        )
        await self.connection.execute(
            _SQL["serve_version"], self.service_id, version, entry.at, self.stable_version_id
        )

    async def _leave(self, variant: Variant, entry: Entry) -> None:
        config_id, version = self.config_id, variant.version_id
        await self.connection.execute(_SQL["drop_variant"], config_id, version)
        await self.connection.execute(_SQL["retire_variant"], config_id, version, entry.at)
        await self.connection.execute(_SQL["forget_former"], config_id, FORMER_KEPT)

    async def _advance(self, entry: Entry) -> None:
        await self.connection.execute(
            _SQL["advance_rollout"],
            self.rollout_id,
            entry.phase,
            entry.phase is not None and entry.phase.is_final,
            rows.text(entry.message),
            entry.step,
            _given(entry.weights, self.stable),
            entry.at,
            entry.run_id,
            entry.promoted and entry.promoted.name,
        )


def _given(weights: Mapping[str, int] | None, stable: str) -> int | None:
    """What the challengers get together."""
    if weights is None:
        return None
    return sum(weight for name, weight in weights.items() if name != stable)
