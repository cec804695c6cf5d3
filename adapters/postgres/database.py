"""The pool, with every error translated. All of the package's queries go through here."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from adapters.postgres.errors import translated
from domain.errors import NotFound

Row = Mapping[str, Any]
T = TypeVar("T")


class Database:
    """Runs queries on connections of the pool. `what` names the thing for error messages."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def rows(self, query: str, *args: Any, what: str = "the query") -> Sequence[Row]:
        with translated(what):
            found: Sequence[Row] = await self._pool.fetch(query, *args)
            return found

    async def row(self, query: str, *args: Any, what: str = "the query") -> Row | None:
        with translated(what):
            found: Row | None = await self._pool.fetchrow(query, *args)
            return found

    async def page(
        self, query: str, *args: Any, to: Callable[[Row], T]
    ) -> tuple[tuple[T, ...], int]:
        """One page of a list and the total, from a query that states the total in each row."""
        rows = await self.rows(query, *args)
        return tuple(to(row) for row in rows if row["id"] is not None), rows[0]["total"]

    @asynccontextmanager
    async def transaction(
        self, what: str, *, isolation: str | None = None
    ) -> AsyncIterator[asyncpg.Connection]:
        """A connection in a transaction, committed at the end. Its errors are translated too."""
        with translated(what):
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation=isolation),
            ):
                yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to keep for a while."""
        with translated("the connection"):
            async with self._pool.acquire() as connection:
                yield connection


def found(row: Row | None, thing: str, its_id: UUID) -> Row:
    """The row, which must be there. Raises NotFound in words."""
    if row is None:
        raise NotFound(f"there is no {thing} {its_id} in this project")
    return row
