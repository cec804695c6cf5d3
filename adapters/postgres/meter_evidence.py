"""The streams of meters beside the gateway's: their intervals, and a cursor behind each."""

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from adapters.postgres import rows
from adapters.postgres.sql import load
from domain.errors import Contended
from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence_port import MeterLog

_SQL = load("meters")


async def streams(connection: asyncpg.Connection, rollout_id: UUID) -> Mapping[str, MeterLog]:
    """All streams of a rollout, by the name of their meter."""
    intervals = await connection.fetch(_SQL["intervals"], rollout_id)
    cursors = await connection.fetch(_SQL["cursors"], rollout_id)
    return await asyncio.to_thread(_read, intervals, cursors) if cursors else {}


async def size(connection: asyncpg.Connection, rollout_id: UUID) -> int:
    """How many intervals all streams have together."""
    return int(await connection.fetchval(_SQL["size"], rollout_id))


async def append(
    connection: asyncpg.Connection,
    project_id: UUID,
    rollout_id: UUID,
    meter: str,
    *,
    interval: Interval | ArmsInterval | None,
    cursor: Cursor | ArmsCursor,
) -> None:
    """Keep both, or neither where the interval stands already.

    Raises Contended where another one does, or a later cursor.
    """
    if isinstance(interval, ArmsInterval) or isinstance(cursor, ArmsCursor):
        raise TypeError(f"the meter {meter} is of no trial")
    of = (project_id, rollout_id, meter)
    if interval is not None and not await _insert(connection, of, interval):
        return
    kept = await connection.fetchval(_SQL["keep_cursor"], *of, rows.cursor_json(cursor))
    if kept is None:
        raise Contended(f"a later cursor of {meter} of rollout {rollout_id} stands already")


async def _insert(
    connection: asyncpg.Connection, of: tuple[UUID, UUID, str], interval: Interval
) -> bool:
    """Insert the interval; False if it stands already."""
    candidate, stable, _ = rows.counted_json(interval)
    sequence = await connection.fetchval(
        _SQL["append_interval"],
        *of,
        interval.sequence,
        interval.step,
        interval.weight,
        interval.opened_at,
        interval.closed_at,
        candidate,
        stable,
        interval.bounds_ms,
        interval.resets,
    )
    if sequence is not None:
        return True
    _, rollout_id, meter = of
    stands = await connection.fetchrow(_SQL["interval"], rollout_id, meter, interval.sequence)
    if rows.to_interval(stands) != interval:
        what = f"interval {interval.sequence} of {meter} of rollout {rollout_id}"
        raise Contended(f"{what} is another's")
    return False


def _read(
    intervals: Sequence[asyncpg.Record], cursors: Sequence[asyncpg.Record]
) -> Mapping[str, MeterLog]:
    listed: dict[str, list[Interval]] = {}
    for row in intervals:
        interval = rows.to_interval(row)
        if isinstance(interval, Interval):
            listed.setdefault(row["meter"], []).append(interval)
    found = {}
    for row in cursors:
        cursor = rows.cursor_of(row["cursor"])
        if isinstance(cursor, Cursor):
            kept = tuple(listed.get(row["meter"], ()))
            found[row["meter"]] = MeterLog(intervals=kept, cursor=cursor)
    return found
