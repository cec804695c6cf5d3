"""Gates whose counts are not the gateway's: what the model servers say of themselves."""

from tests.e2e.served import ERRORS, LATENCY
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on

FIRST_TOKEN = {
    "name": "first-token",
    "metric": "time_to_first_token",
    "source": "vllm",
    "slow_over_ms": 100,
    "against_stable": {"floor": 0.05},
}
OF_THE_SERVERS = [
    ERRORS,
    {**ERRORS, "name": "served-errors", "source": "vllm"},
    {**LATENCY, "name": "served-latency", "source": "vllm", "slow_over_ms": 500},
    FIRST_TOKEN,
    {
        "name": "tokens",
        "metric": "tokens",
        "source": "vllm",
        "more_than": 100,
        "against_stable": {"floor": 0.05},
    },
]


@together
async def test_a_candidate_that_is_slow_to_its_first_token_alone_is_rolled_back_by_that_gate(scene):
    answers_alike = "latency_ms=200&jitter_ms=5"
    served = await scene.serve(
        "late-first",
        stable=f"{answers_alike}&ttft_ms=20",
        candidate=f"{answers_alike}&ttft_ms=160",
    )
    async with served.load(50) as load:
        slow_answers = {**LATENCY, "slow_over_ms": 500}
        rollout = await served.start(gates=[ERRORS, slow_answers, FIRST_TOKEN])
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")
    told = await rollout.told("verdict", "first-token: fail")
    assert "took longer than 100 ms to the first token" in told["message"]
    chart = await scene.get(f"/rollouts/{rollout.id}/evidence")
    # The gateway's gates may have had no interval yet.
    statuses = {
        one["gate"]["name"]: [point["status"] for point in one["points"]] for one in chart["gates"]
    }
    assert statuses["first-token"][-1] == "fail"
    assert "fail" not in statuses["errors"] + statuses["latency"]


@together
async def test_a_healthy_candidate_is_promoted_by_what_its_servers_count(scene):
    served = await scene.serve("self-told")
    async with served.load(50) as load:
        rollout = await served.start(gates=OF_THE_SERVERS)
        await rollout.ended("promoted")
        assert await served_from_now_on(load) == {rollout.candidate}

    assert failed(load) == set()
    await rollout.told("verdict", "served-errors: pass")
    await rollout.told("verdict", "first-token: pass")
