"""Connections to PostgreSQL: how many, and how long anything may take."""

import asyncpg

from adapters.postgres.errors import translated

_CONNECT_SECONDS = 5.0
_COMMAND_SECONDS = 15.0
_SETTINGS = {
    "application_name": "tidegate",
    "timezone": "UTC",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}


async def open_pool(dsn: str, *, least: int = 1, most: int = 10) -> asyncpg.Pool:
    """A pool that is connected. Raises Unreachable when the server is not there.

    The server gives up on a statement before the client does, so that the client's limit is only
    met when the server has gone silent.
    """
    with translated("the database"):
        return await asyncpg.create_pool(
            dsn,
            min_size=least,
            max_size=most,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings=_SETTINGS,
            reset=_leave_as_it_is,
        )


async def _leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """Save the round trip of a session reset: no query of ours changes the session.

    asyncpg itself rolls back what is open before it calls this.
    """
