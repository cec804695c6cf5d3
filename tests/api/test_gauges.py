"""How the registry stands, on the API's own metrics page."""

import asyncio
from uuid import UUID

from domain.errors import Unreachable
from domain.registry import TrafficConfig
from domain.rollout import EventKind, Phase
from domain.verdicts import Status, Verdict
from tests.api.caller import canary
from tests.api.staging import tell


async def page(http):
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return answer.text


async def test_each_variant_s_weight_is_told_with_the_cluster_that_counts_it(
    http, api, registry, metrics
):
    ids = await api.served()
    (variant,) = registry.things[TrafficConfig][UUID(ids["config"])].variants
    config = registry.things[TrafficConfig][UUID(ids["config"])]
    cluster = f"httproute/prod/{config.route_name}/rule/0/backend/0"
    text = await page(http)
    assert (
        f'tidegate_variant_weight{{envoy_cluster_name="{cluster}",model="chat",namespace="prod",'
        f'project="{api.project}",role="stable",variant="stable",version="v1",'
        f'workload="{variant.workload}"}} 100.0'
    ) in text
    assert "tidegate_registry_up 1.0" in text


async def test_rollouts_are_counted_and_each_gate_told_with_its_last_verdict(http, api, registry):
    ids = await api.served()
    path = f"/traffic_configs/{ids['config']}/rollouts"
    rollout = (await api.made(path, canary(ids["v2"])))["id"]
    event = await tell(registry, rollout, EventKind.VERDICT, phase=Phase.PROGRESSING)
    event.data["verdict"] = Verdict(gate="errors", status=Status.PASS, reason="so it is")
    text = await page(http)
    named = f'model="chat",phase="progressing",project="{api.project}",strategy="canary"'
    assert f"tidegate_rollouts{{{named}}} 1.0" in text
    named = f'gate="errors",model="chat",project="{api.project}",status="pass"'
    assert f"tidegate_gate_verdict{{{named}}} 1.0" in text


async def test_a_database_that_is_away_leaves_these_out_and_nothing_else(http, api, survey):
    await api.served()
    survey.error = Unreachable()
    text = await page(http)
    assert "tidegate_registry_up 0.0" in text
    assert "tidegate_variant_weight" not in text
    assert "tidegate_api_requests_total" in text


async def test_scrapes_at_once_and_shortly_after_cost_one_look(http, api, survey):
    await api.served()
    await asyncio.gather(*(page(http) for _ in range(5)))
    survey.error = Unreachable()
    assert "tidegate_registry_up 1.0" in await page(http)
