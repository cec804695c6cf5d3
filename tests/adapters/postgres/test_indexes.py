"""What is read often is read by an index: no query's cost grows with what other projects hold."""

import re

from adapters.postgres.sql import load

ORDERED = {
    ("catalog", "models"): "registered_models_listed",
    ("catalog", "versions"): "model_versions_listed",
    ("catalog", "environments"): "serving_environments_listed",
    ("services", "services"): "inference_services_listed",
    ("traffic", "configs"): "traffic_configs_listed",
    ("rollouts", "rollouts"): "rollouts_listed",
    ("rollouts", "live_rollout"): "rollouts_unfinished",
    ("rollouts", "unfinished"): "rollouts_unfinished",
    ("rollouts", "events"): "rollout_events_in_order",
    ("evidence", "intervals"): "evidence_intervals_pkey",
    ("comparisons", "compared"): "compared_answers_pkey",
    ("readings", "readings"): "gate_readings_pkey",
    ("fleet", "windows"): "freeze_windows_listed",
    ("fleet", "groups"): "rollout_groups_listed",
    ("fleet", "queue"): "rollout_queue_in_order",
    ("gate_templates", "version"): "gate_template_versions_pkey",
    ("gate_templates", "versions"): "gate_template_versions_pkey",
    ("survey", "standing_variants"): "traffic_variants_slot",
    ("survey", "standing_rollouts"): "rollouts_of_config",
    ("survey", "standing_verdicts"): "rollout_events_in_order",
}


SUBJECTS = (
    "catalog",
    "services",
    "traffic",
    "operations",
    "rollouts",
    "journal",
    "evidence",
    "comparisons",
    "readings",
    "fleet",
    "gate_templates",
    "survey",
)


async def plan_of(connection, query):
    """The plan that fits any parameters, for tables so large that reading them whole is dear."""
    for setting in ("enable_seqscan = off", "enable_sort = off", "jit = off"):
        await connection.execute(f"SET LOCAL {setting}")
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    nulls = ["NULL"] * len(set(re.findall(r"\$\d+", query)))
    arguments = f"({', '.join(nulls)})" if nulls else ""
    await connection.execute(f"PREPARE asked AS {query}")
    lines = await connection.fetch(f"EXPLAIN EXECUTE asked{arguments}")
    await connection.execute("DEALLOCATE asked")
    return "\n".join(line["QUERY PLAN"] for line in lines)


async def plans_of(pool):
    async with pool.acquire() as connection, connection.transaction():
        return {
            (subject, name): await plan_of(connection, query)
            for subject in SUBJECTS
            for name, query in load(subject).items()
            if "FROM" in query and name != "ready"
        }


async def test_no_query_needs_to_read_a_table_whole(pool):
    for asked, plan in (await plans_of(pool)).items():
        assert "Seq Scan" not in plan, f"{asked}:\n{plan}"


async def test_what_is_read_in_order_goes_by_an_index_of_that_order(pool):
    plans = await plans_of(pool)
    for asked, index in ORDERED.items():
        assert index in plans[asked], f"{asked}:\n{plans[asked]}"
