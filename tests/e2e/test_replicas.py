"""A scaled candidate on the whole cluster: its replicas join, share the requests, and leave."""

import asyncio
import json

import httpx

from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.served import LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed
from tests.e2e.waiting import until

# Long enough to load for a step that does not wait to be seen.
SLOW = "latency_ms=20&jitter_ms=5&load_seconds=2"
ANSWERED = 'handler="/v1/chat/completions",method="POST",status="2xx"'


async def servers(scene, workload):
    """What each model server of a workload tells of itself, by its address."""
    target = scene.layout.prometheus_targets_dir / f"{NAMESPACE}.{workload}.json"
    addresses = json.loads(target.read_text())[0]["targets"]
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = await asyncio.gather(*(http.get(f"http://{one}/metrics") for one in addresses))
    return {one: answer.text for one, answer in zip(addresses, answers, strict=True)}


async def is_loaded(address):
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"http://{address}/health")).status_code == 200


@together
async def test_three_servers_answer_for_a_candidate_that_was_scaled_to_three(scene):
    served = await scene.serve("flocking", candidate=SLOW)
    async with served.load() as users:
        rollout = await served.start(steps=[{"set_scale": {"replicas": 3}}, {"pause": {}}, *LONG])
        await rollout.told("decided", "scaled to 3")
        joined = await servers(scene, rollout.candidate)
        assert len(joined) == 3
        assert all([await is_loaded(one) for one in joined])
        assert not any(ANSWERED in told for told in joined.values())
        await rollout.command("promote", scope="step")

        async def all_have_answered():
            told = await servers(scene, rollout.candidate)
            return set(told) == set(joined) and all(ANSWERED in one for one in told.values())

        await until(all_have_answered, "each of the three has answered")
        await rollout.command("abort")
        await rollout.ended("rolled_back")

    assert failed(users) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_replicas_that_find_no_place_send_the_rollout_home(scene):
    """More than this cluster runs at all: the step fails with the cluster's reason."""
    served = await scene.serve("overflowing")
    async with served.load() as users:
        rollout = await served.start(steps=[{"set_scale": {"replicas": 9}}, *LONG])
        ended = await rollout.ended("rolled_back")
        assert "8 replicas at most, not 9" in ended["phase_reason"]

    assert failed(users) == set()
    await served.at_rest(rollout.stable, "v1")
