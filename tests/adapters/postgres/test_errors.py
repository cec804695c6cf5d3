"""What goes wrong in PostgreSQL arrives as errors of the domain, with the cause behind them."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from adapters.postgres.database import Database
from adapters.postgres.errors import translated
from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from domain.errors import (
    AlreadyExists,
    Conflict,
    Contended,
    InUse,
    InvalidSpec,
    NotFound,
    Unreachable,
)
from domain.ports import Page
from sandbox.ports import free_port
from tests.projects import a_model, a_project, a_rollout, a_service, an_entry


async def test_a_taken_name_says_what_is_taken(registry, it):
    with pytest.raises(AlreadyExists) as caught:
        await registry.create_model(a_model(it.id, name=it.model.name))
    assert str(caught.value) == "the registered model 'chat' exists already"
    assert isinstance(caught.value.__cause__, asyncpg.UniqueViolationError)


async def test_a_missing_reference_says_what_is_missing(registry, it):
    service = a_service(it.environment, replace(it.v1, id=uuid4()), name="new")
    with pytest.raises(NotFound) as caught:
        await registry.create_service(service)
    assert (
        str(caught.value)
        == "the inference service 'new': there is no such model version in this project"
    )


async def test_what_is_referred_to_is_in_use(pool, it):
    with pytest.raises(InUse, match="the model is still in use by model versions"):
        await Database(pool).row("DELETE FROM registered_models", what="the model")


async def test_weights_that_break_the_sum_say_so(registry, journal, it):
    rollout = await it.start(registry)
    with pytest.raises(Conflict, match="sum to 90, not 100"):
        await journal.record(rollout.id, [an_entry("w", weights={"stable": 90})])


async def test_a_key_that_is_being_discarded_is_waited_for(registry, it, pool, a_lock_is_awaited):
    first = a_rollout(it.plan)
    await registry.create_rollout(first, idempotency_key="k", request_hash="h")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("DELETE FROM rollouts")
        again = asyncio.create_task(
            registry.create_rollout(a_rollout(it.plan), idempotency_key="k", request_hash="h")
        )
        await a_lock_is_awaited()
        await transaction.rollback()
    assert (await again).id == first.id


@pytest.mark.parametrize("name", ["nul \0", "half a surrogate \ud800"])
async def test_words_that_cannot_be_stored_are_a_bad_request(registry, name):
    with pytest.raises(InvalidSpec):
        await registry.create_model(a_model(uuid4(), name=name))


async def test_a_page_beyond_all_numbers_is_a_bad_request(registry):
    with pytest.raises(InvalidSpec):
        await registry.models(uuid4(), Page(limit=1, offset=2**63))


async def test_a_server_that_is_not_there_is_unreachable():
    with pytest.raises(Unreachable):
        await open_pool(f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing")


async def test_a_wrong_password_is_unreachable(database_url):
    user, _, rest = database_url.partition("@")
    with pytest.raises(Unreachable):
        await open_pool(f"{user.rpartition(':')[0]}:wrong@{rest}")


async def test_a_database_without_our_schema_is_not_ready(postgres_server):
    pool = await open_pool(postgres_server.url("postgres"))
    with pytest.raises(Unreachable, match="were migrations run"):
        await PostgresRegistry(pool).ready()
    await pool.close()


async def test_a_migrated_database_is_ready(registry):
    await registry.ready()


async def test_a_pool_that_was_closed_is_unreachable(pool, registry):
    await pool.close()
    with pytest.raises(Unreachable):
        await registry.ready()


async def test_a_cut_connection_is_unreachable_and_the_next_call_works(pool):
    with pytest.raises(Unreachable):
        await Database(pool).row("SELECT pg_terminate_backend(pg_backend_pid())")
    await Database(pool).row("SELECT 1")


async def test_a_statement_that_takes_too_long_is_unreachable(pool):
    async with Database(pool).transaction("the nap") as connection:
        await connection.execute("SET LOCAL statement_timeout = '10ms'")
        with pytest.raises(Unreachable), translated("the nap"):
            await connection.execute("SELECT pg_sleep(10)")


async def test_a_lock_that_is_held_too_long_is_contended(pool, it):
    database = Database(pool)
    async with database.transaction("the holder") as holder:
        await holder.execute("UPDATE registered_models SET description = 'mine'")
        async with database.transaction("the model") as other:
            await other.execute("SET LOCAL lock_timeout = '10ms'")
            with pytest.raises(Contended), translated("the model"):
                await other.execute("UPDATE registered_models SET description = 'ours'")


async def test_an_error_in_our_own_sql_stays_what_it_is(pool):
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await Database(pool).row("SELEKT 1")


async def test_a_failed_call_leaves_no_transaction_open(pool, registry, journal):
    it = await a_project().store(registry)
    rollout = await it.start(registry)
    for _ in range(20):
        with pytest.raises(Conflict):
            await journal.record(rollout.id, [an_entry("w", weights={"stable": 1})])
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    assert await pool.fetchval(idle) == 0
