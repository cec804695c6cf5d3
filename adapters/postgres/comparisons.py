"""What the answers to a shadow's sample have shown."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres.database import Database, found
from adapters.postgres.sql import load
from domain.comparison import Compared
from domain.errors import Contended

_SQL = load("comparisons")


class PostgresComparisons:
    """Implements `domain.comparison_port.ComparisonStore`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._db = Database(pool)

    async def compared(self, rollout_id: UUID) -> Sequence[Compared]:
        what = f"the compared answers of rollout {rollout_id}"
        rows = await self._db.rows(_SQL["compared"], rollout_id, what=what)
        return [Compared(**row) for row in rows]

    async def keep(self, rollout_id: UUID, compared: Compared) -> None:
        async with self._db.transaction(f"the compared answers of rollout {rollout_id}") as it:
            row = found(await it.fetchrow(_SQL["project"], rollout_id), "rollout", rollout_id)
            kept = await it.fetchval(
                _SQL["keep"],
                row["project_id"],
                rollout_id,
                compared.sequence,
                compared.request,
                compared.difference,
            )
            if kept is not None:
                return
            stands = await it.fetchrow(_SQL["one"], rollout_id, compared.sequence)
            if stands is None or Compared(**stands) != compared:
                raise Contended(f"result {compared.sequence} of rollout {rollout_id} is another's")
