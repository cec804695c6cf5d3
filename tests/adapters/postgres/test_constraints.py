"""What the database itself refuses, whoever asks."""

import asyncio

import asyncpg
import pytest

from domain.registry import ConfigStatus
from tests.projects import a_project, a_rollout, an_entry

SET_WEIGHT = "UPDATE traffic_variants SET weight = $3 WHERE traffic_config_id = $1 AND name = $2"


@pytest.fixture
async def config_id(it, registry, journal):
    """A config with two active variants, 60 and 40."""
    rollout = await it.start(registry)
    entries = [
        an_entry("join", joined=it.plan.candidate),
        an_entry("w", weights={"stable": 60, "candidate": 40}),
    ]
    await journal.record(rollout.id, entries)
    return it.config.id


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE traffic_variants SET weight = 101",
        "UPDATE traffic_variants SET weight = -1",
        "UPDATE traffic_variants SET weight = 61 WHERE name = 'stable'",
        "UPDATE traffic_variants SET role = 'boss'",
        "UPDATE traffic_variants SET status = 'inactive' WHERE name = 'candidate'",
        "UPDATE traffic_variants SET status = 'inactive', weight = 0 WHERE name = 'candidate'",
        "UPDATE traffic_variants SET status = 'inactive', weight = 0 WHERE name = 'stable'",
        "UPDATE traffic_variants SET slot = -1 WHERE name = 'stable'",
        "DELETE FROM traffic_variants WHERE name = 'candidate'",
        "DELETE FROM traffic_variants WHERE name = 'stable'",
        "UPDATE traffic_configs SET status = 'glorious'",
        "UPDATE rollouts SET phase = 'done'",
        "UPDATE rollouts SET phase = 'promoted'",
        "UPDATE rollouts SET ended_at = now()",
        "UPDATE rollouts SET candidate_weight = 101",
        "UPDATE rollouts SET plan = '[]'",
        "UPDATE inference_services SET current_state = 'fine'",
        "UPDATE registered_models SET name = ''",
    ],
)
async def test_a_broken_rule_is_refused(pool, config_id, change):
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE traffic_variants SET role = 'stable'",
        "UPDATE traffic_variants SET slot = 0",
        "UPDATE traffic_variants SET name = 'stable'",
    ],
)
async def test_there_is_one_stable_and_one_variant_a_slot_and_a_name(pool, config_id, change):
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(change)


async def test_the_sum_is_judged_at_the_commit(pool, config_id):
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SET_WEIGHT, config_id, "stable", 0)
        await connection.execute(SET_WEIGHT, config_id, "candidate", 100)


async def test_a_config_that_is_not_active_may_have_any_sum(pool, registry):
    it = await a_project(status=ConfigStatus.PUBLISHING).store(registry)
    await pool.execute(SET_WEIGHT, it.config.id, "stable", 0)
    with pytest.raises(asyncpg.CheckViolationError, match="sum to 0"):
        await pool.execute("UPDATE traffic_configs SET status = 'active'")


async def test_a_config_cannot_become_active_while_its_weights_change(
    pool, registry, a_lock_is_awaited
):
    """Either alone is right: to activate at 100, and to leave 50 while nothing is active."""
    it = await a_project(status=ConfigStatus.PUBLISHING).store(registry)
    async with pool.acquire() as activating, pool.acquire() as weighing:
        activation, change = activating.transaction(), weighing.transaction()
        await activation.start()
        await change.start()
        await activating.execute("UPDATE traffic_configs SET status = 'active'")
        await weighing.execute(SET_WEIGHT, it.config.id, "stable", 50)
        changing = asyncio.create_task(change.commit())
        await a_lock_is_awaited()
        await activation.commit()
        with pytest.raises(asyncpg.CheckViolationError, match="sum to 50"):
            await changing


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE model_versions SET project_id = $1",
        "UPDATE traffic_variants SET project_id = $1",
        "UPDATE rollouts SET project_id = $1",
        "UPDATE rollout_events SET project_id = $1",
        "UPDATE inference_services SET project_id = $1",
    ],
)
async def test_no_row_moves_to_another_project(pool, config_id, change):
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await pool.execute(change, a_project().id)


async def test_an_event_keeps_its_key_to_itself(pool, it, registry, journal):
    rollout = await registry.create_rollout(
        a_rollout(it.plan), idempotency_key=None, request_hash=""
    )
    await journal.record(rollout.id, [an_entry("k"), an_entry("l")])
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute("UPDATE rollout_events SET key = 'k'")
