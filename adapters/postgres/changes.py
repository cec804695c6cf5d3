"""Changing and deleting what others may change or use at the same moment."""

from datetime import datetime
from uuid import UUID

from adapters.postgres.database import Database, Row, found
from domain.errors import InUse, Outdated

# The project and the thing.
Ids = tuple[UUID, UUID]


def require_unchanged(row: Row | None, what: str) -> None:
    """The row that a change gave back: there is none where somebody else was faster."""
    if row is None:
        raise Outdated(f"{what} has changed meanwhile; ask again")


def require_same(row: Row | None, updated_at: datetime, what: str) -> None:
    """The locked row must be the one that was read before."""
    require_unchanged(row if row is not None and row["updated_at"] == updated_at else None, what)


def require_unused(what: str, user: Row | None) -> None:
    if user is not None:
        named = f"{user['kind']} {user['name']!r} ({user['id']})"
        raise InUse(f"{what} is still used by {named}")


async def delete(db: Database, thing: str, ids: Ids, *, query: str, user: str) -> None:
    """Delete the thing. Raises NotFound, or InUse that names what uses it.

    The reference itself refuses, so that nobody can begin to use it meanwhile; only then is the
    query `user` asked who does.
    """
    what = f"{thing} {ids[1]}"
    try:
        row = await db.row(query, *ids, what=what)
    except InUse:
        require_unused(what, await db.row(user, *ids))
        raise
    found(row, thing, ids[1])
