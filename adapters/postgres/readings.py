"""What gates without statistics have read."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres.database import Database, Row, found
from adapters.postgres.sql import load
from domain.errors import Contended
from domain.readings.rules import Reading
from domain.readings.stepped import KeptReading

_SQL = load("readings")


class PostgresReadings:
    """Implements `domain.reading_port.ReadingStore`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def readings(self, rollout_id: UUID) -> Sequence[KeptReading]:
        what = f"the readings of rollout {rollout_id}"
        rows = await self._db.rows(_SQL["readings"], rollout_id, what=what)
        # Those of a week take a while to read: others go on meanwhile.
        return await asyncio.to_thread(lambda: [_kept(row) for row in rows])

    async def size(self, rollout_id: UUID) -> int:
        what = f"the readings of rollout {rollout_id}"
        (row,) = await self._db.rows(_SQL["size"], rollout_id, what=what)
        return int(row["size"])

    async def keep(self, rollout_id: UUID, kept: KeptReading) -> None:
        place = (kept.gate, kept.variant, kept.sequence)
        async with self._db.transaction(f"the readings of rollout {rollout_id}") as it:
            row = found(await it.fetchrow(_SQL["project"], rollout_id), "rollout", rollout_id)
            written = await it.fetchval(
                _SQL["keep"],
                row["project_id"],
                rollout_id,
                *place,
                kept.step,
                kept.reading.at,
                list(kept.reading.series),
                kept.reading.error,
            )
            if written is not None:
                return
            stands = await it.fetchrow(_SQL["one"], rollout_id, *place)
            # Compared as written: NaN is not equal to itself.
            if stands is None or repr(_kept(stands)) != repr(kept):
                what = f"reading {kept.sequence} of {kept.gate}"
                raise Contended(f"{what} in rollout {rollout_id} is another's")


def _kept(row: Row) -> KeptReading:
    return KeptReading(
        gate=row["gate"],
        variant=row["variant"],
        sequence=row["sequence"],
        step=row["step"],
        reading=Reading(at=row["taken_at"], series=tuple(row["series"]), error=row["error"]),
    )
