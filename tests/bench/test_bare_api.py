"""The bare API that reads are compared with answers the fields that ours answers."""

from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from adapters.postgres.sql import load
from api.schemas.rollouts import RolloutOut
from api.schemas.traffic import TrafficConfigOut, TrafficVariantOut
from bench.bare_api import shown_config, shown_rollout
from tests.projects import a_project


async def test_it_leaves_no_field_out_and_adds_none(database_url):
    pool = await open_pool(database_url)
    try:
        it = await a_project().store(PostgresRegistry(pool))
        rollout = await it.start(PostgresRegistry(pool))
        config = await pool.fetchrow(load("traffic")["config"], it.id, it.config.id)
        row = await pool.fetchrow(load("rollouts")["rollout"], it.id, rollout.id)
    finally:
        await pool.close()

    shown = shown_config(config)

    assert shown.keys() == TrafficConfigOut.model_fields.keys()
    assert shown["variants"][0].keys() == TrafficVariantOut.model_fields.keys()
    assert shown_rollout(row).keys() == RolloutOut.model_fields.keys()
