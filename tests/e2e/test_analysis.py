"""Analysis beside rollouts: the past replayed, and what was expected of one that then ran."""

from datetime import datetime, timedelta

from tests.e2e.served import ERRORS, FAST, STEPS
from tests.e2e.together import together
from tests.e2e.waiting import until

# Judged beside the errors, on what the model servers and a query say.
FIRST_TOKEN = {
    "name": "first-token",
    "metric": "time_to_first_token",
    "source": "vllm",
    "slow_over_ms": 2500,
    "against_stable": {"floor": 0.05},
    "dry_run": True,
}
FAILURES = {
    "name": "failures",
    "query": 'sum(http_requests_total{status="5xx"} and on (instance) '
    'vllm:prompt_tokens_total{model_name="{{candidate.workload}}"}) or vector(0)',
    "success_condition": "result[0] < 1",
    "interval_seconds": 1,
    "dry_run": True,
}
A_FEW_PROBES = timedelta(seconds=3)


def moment(text):
    return datetime.fromisoformat(text)


async def planned(served, scene):
    """What the API expects of a rollout of v2, once stable's traffic is seen."""

    async def expected():
        found = await scene.post(
            "/analysis/plan",
            traffic_config_id=served.config_id,
            target_version_id=served.versions["v2"],
            steps=STEPS,
            gates=[ERRORS],
            policies=FAST,
            window_seconds=30,
        )
        return found if (found["traffic"]["requests"] or 0) > 200 else None

    return await until(expected, "the traffic of stable")


@together
async def test_a_past_rollout_fails_again_when_it_did_and_a_healthy_one_does_not(scene):
    well = await scene.serve("well")
    async with well.load(50):
        ahead = await planned(well, scene)
        healthy = await well.start()
        await healthy.ended("promoted")
    # Bad enough to fail soon, and long enough there for what the servers and the query say of it.
    ill = await scene.serve("ill", candidate="latency_ms=20&error_rate=0.2")
    async with ill.load(50):
        sick = await ill.start(gates=[ERRORS, FIRST_TOKEN, FAILURES])
        await sick.ended("rolled_back")

    assert 20 < ahead["traffic"]["requests_per_second"] < 80
    (first, *_) = ahead["steps"]
    assert (first["weight"], first["gates"][0]["outlook"]["passes_within_soak"]) == (20, True)
    assert "At 20 %" in first["summary"]

    found = await scene.post(
        "/analysis/backtest", rollout_id=sick.id, healthy_ranges=[{"rollout_id": healthy.id}]
    )
    gate, first_token, failures = found["replay"]["gates"]
    told = (await sick.told("verdict", "errors: fail"))["data"]["verdict"]
    assert gate["status"] == gate["first_fail"]["verdict"]["status"] == "fail"
    off = moment(gate["first_fail"]["at"]) - moment(told["samples"]["closed_at"])
    assert abs(off) <= A_FEW_PROBES
    assert (first_token["first_fail"], failures["first_fail"] is not None) == (None, True)
    assert found["replay"]["readings"] > 0
    assert [one for one in found["replay"]["missing"] if not one.startswith("vllm/")] == []
    assert (found["healthy"]["counted"], found["healthy"]["fired"]) == (1, 0)
    (replayed,) = found["healthy"]["ranges"]
    errors, first_token, _ = replayed["gates"]
    assert errors["first_pass"] is not None
    assert first_token["verdict"]["samples"]["candidate_requests"] > 0
