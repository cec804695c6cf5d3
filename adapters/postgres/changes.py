"""Changing and deleting what others may change or use at the same moment."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from adapters.postgres.database import Database, Row, found
from domain.errors import InUse, Outdated

# What the queries call a thing, and what people call it.
_KINDS = {
    "model": "registered model",
    "version": "model version",
    "environment": "serving environment",
}


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


async def delete(
    db: Database, sql: Mapping[str, str], kind: str, project_id: UUID, its_id: UUID
) -> None:
    """Delete the thing. Raises NotFound, or InUse that names what uses it.

    The reference itself refuses, so that nobody can begin to use it meanwhile; only then is the
    user looked up.
    """
    thing = _KINDS[kind]
    what = f"{thing} {its_id}"
    try:
        row = await db.row(sql[f"delete_{kind}"], project_id, its_id, what=what)
    except InUse:
        require_unused(what, await db.row(sql[f"user_of_{kind}"], project_id, its_id))
        raise
    found(row, thing, its_id)
