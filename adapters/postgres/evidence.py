"""The intervals that a rollout's gates have seen, and the cursor behind them."""

import asyncio
from uuid import UUID

import asyncpg

from adapters.postgres import meter_evidence, rows
from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.errors import Contended
from domain.evidence.baseline import Baseline
from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence_port import EvidenceLog

_SQL = load("evidence")


class PostgresEvidence:
    """Implements `domain.evidence_port.EvidenceStore`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def load(self, rollout_id: UUID) -> EvidenceLog:
        what = f"the evidence of rollout {rollout_id}"
        async with self._db.transaction(what, isolation="repeatable_read") as connection:
            intervals = await connection.fetch(_SQL["intervals"], rollout_id)
            cursor = await connection.fetchrow(_SQL["cursor"], rollout_id)
            baseline = await connection.fetchval(_SQL["baseline"], rollout_id)
            meters = await meter_evidence.streams(connection, rollout_id)
        return EvidenceLog(
            # Those of a week take half a second to read: others go on meanwhile.
            intervals=await asyncio.to_thread(_read, intervals),
            cursor=cursor and rows.cursor_of(cursor["cursor"]),
            baseline=baseline and rows.baseline_of(baseline),
            meters=meters,
        )

    async def size(self, rollout_id: UUID) -> int:
        async with self._db.transaction(f"the evidence of rollout {rollout_id}") as connection:
            gateway = await connection.fetchval(_SQL["size"], rollout_id)
            return int(gateway) + await meter_evidence.size(connection, rollout_id)

    async def append(
        self,
        rollout_id: UUID,
        *,
        interval: Interval | ArmsInterval | None,
        cursor: Cursor | ArmsCursor,
        meter: str = "",
    ) -> None:
        """The same interval again is success and leaves the cursor: it was kept with the first."""
        async with self._db.transaction(f"the evidence of rollout {rollout_id}") as connection:
            row = found(
                await connection.fetchrow(_SQL["project"], rollout_id), "rollout", rollout_id
            )
            project_id = row["project_id"]
            if meter:
                of = (connection, project_id, rollout_id, meter)
                await meter_evidence.append(*of, interval=interval, cursor=cursor)
                return
            if interval and not await _append(connection, project_id, rollout_id, interval):
                return
            kept = await connection.fetchval(
                _SQL["keep_cursor"], project_id, rollout_id, rows.cursor_json(cursor)
            )
            if kept is None:
                raise Contended(f"a later cursor of rollout {rollout_id} stands already")

    async def keep_baseline(self, rollout_id: UUID, baseline: Baseline) -> Baseline:
        what = f"the baseline of rollout {rollout_id}"
        async with self._db.transaction(what) as connection:
            row = found(
                await connection.fetchrow(_SQL["project"], rollout_id), "rollout", rollout_id
            )
            document = rows.baseline_json(baseline)
            await connection.execute(_SQL["keep_baseline"], row["project_id"], rollout_id, document)
            return rows.baseline_of(await connection.fetchval(_SQL["baseline"], rollout_id))


def _read(intervals: list[asyncpg.Record]) -> tuple[Interval | ArmsInterval, ...]:
    return tuple(map(rows.to_interval, intervals))


async def _append(
    connection: asyncpg.Connection,
    project_id: UUID,
    rollout_id: UUID,
    interval: Interval | ArmsInterval,
) -> bool:
    """Insert the interval; False if it stands already. Raises Contended if another one does."""
    sequence = await connection.fetchval(
        _SQL["append_interval"],
        project_id,
        rollout_id,
        interval.sequence,
        interval.step,
        None if isinstance(interval, ArmsInterval) else interval.weight,
        interval.opened_at,
        interval.closed_at,
        *rows.counted_json(interval),
        interval.bounds_ms,
        interval.resets,
    )
    if sequence is not None:
        return True
    stands = await connection.fetchrow(_SQL["interval"], rollout_id, interval.sequence)
    if rows.to_interval(stands) != interval:
        raise Contended(f"interval {interval.sequence} of rollout {rollout_id} is another's")
    return False
