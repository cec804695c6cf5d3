"""A migrated database of the test's own, empty, and what works on it."""

import asyncio

import pytest

from adapters.postgres.journal import PostgresJournal
from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from tests.projects import a_project


@pytest.fixture
async def pool(database_url):
    pool = await open_pool(database_url)
    yield pool
    await pool.close()


@pytest.fixture
def registry(pool):
    return PostgresRegistry(pool)


@pytest.fixture
def journal(pool):
    return PostgresJournal(pool)


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


@pytest.fixture
def until(pool):
    """Wait until a query answers so: the server tells what it is doing, but only when asked."""

    async def wait(query, answer):
        async with asyncio.timeout(20):
            while await pool.fetchval(query) != answer:  # noqa: ASYNC110 - nobody else would set an event
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def a_lock_is_awaited(until):
    return lambda: until("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted", True)
