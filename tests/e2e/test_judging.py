"""What evidence decides, and what it does not, with real requests through the gateway."""

import asyncio

from tests.e2e.served import LONG
from tests.e2e.test_strategies import blue_green
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on
from tests.e2e.waiting import until

# A threshold of 1 % that a rule of thumb sets would fail in nearly every minute.
FLAWED = "latency_ms=20&error_rate=0.05"
STRICT = {"name": "errors", "metric": "error_rate", "against_stable": {}}
TAIL = {
    "name": "tail",
    "metric": "latency",
    "slow_over_ms": 500,
    "against_stable": {"floor": 0.005},
}
ANY_TAIL = {"name": "tail", "metric": "latency", "against_stable": {"floor": 0.005}}
HISTORY_SECONDS = 20
AFFORDED_SECONDS = 40
QUIET_SECONDS = 5


@together
async def test_a_canary_that_is_as_flawed_as_stable_is_not_rolled_back(scene):
    served = await scene.serve("equal", stable=FLAWED, candidate=FLAWED)
    async with served.load(10):
        rollout = await served.start(steps=LONG, gates=[STRICT])
        await rollout.soaking()
        await asyncio.sleep(AFFORDED_SECONDS)
        (verdict,) = (await rollout.look())["live"]["verdicts"]
        await rollout.command("abort")

    assert verdict["status"] in {"undecided", "pass"}, verdict
    assert verdict["samples"]["stable_bad"] > 0
    assert verdict["evidence"]["fail"] < verdict["evidence"]["fail_needed"]
    assert "errors: fail" not in await rollout.story()


@together
async def test_a_canary_whose_traffic_ends_is_undecided_and_says_what_is_missing(scene):
    served = await scene.serve("deserted")
    async with served.load(25):
        rollout = await served.start(steps=LONG, gates=[STRICT])
        await rollout.soaking()
        await until(lambda: _counted(rollout), "requests are counted")
    counted = await until(lambda: _came_to_rest(rollout), "no more requests are counted")

    (verdict,) = (await rollout.look())["live"]["verdicts"]
    assert verdict["status"] == "undecided", verdict
    assert "Not enough data yet at 20 % weight" in verdict["reason"]
    assert verdict["samples"]["candidate_requests"] == counted
    kinds = await rollout.kinds()
    assert not {"rollback_started", "promoted", "metrics_lost"} & set(kinds), await rollout.story()
    await rollout.command("abort")


@together
async def test_a_preview_that_nobody_visits_is_undecided_for_want_of_a_request(scene):
    served = await scene.serve("unvisited")
    async with served.load():
        rollout = await blue_green(served, pre_promotion={"at_most_seconds": 120}, automatic=True)
        await rollout.told("verdict", "errors: undecided", "No request has reached the candidate")
        await asyncio.sleep(QUIET_SECONDS)
        kinds = await rollout.kinds()
        await rollout.command("abort")

    assert kinds.count("verdict") == 1
    assert not {"rollback_started", "promoted", "metrics_lost"} & set(kinds)


@together
async def test_a_candidate_that_is_slow_only_at_its_tail_is_rolled_back(scene):
    served = await scene.serve("tailed", candidate="latency_ms=20&slow_rate=0.03&slow_ms=700")
    async with served.load(50) as load:
        rollout = await served.start(steps=[{"weight": 50, "soak_seconds": 120}], gates=[TAIL])
        await rollout.ended("rolled_back", within=150)
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    told = await rollout.told("verdict", "tail: fail")
    assert "took longer than 500 ms" in told["message"]


@together
async def test_a_tail_is_caught_at_the_bounds_that_the_history_of_stable_gives(scene):
    served = await scene.serve("telling", candidate="latency_ms=20&slow_rate=0.05&slow_ms=700")
    async with served.load(50) as load:
        await asyncio.sleep(HISTORY_SECONDS)
        rollout = await served.start(steps=[{"weight": 50, "soak_seconds": 120}], gates=[ANY_TAIL])
        await rollout.ended("rolled_back", within=150)

    assert failed(load) == set()
    told = await rollout.told("verdict", "tail: fail")
    assert "of requests" in told["message"]
    assert "took longer than" in told["message"]


async def _counted(rollout):
    """How many requests of the candidate the gate has seen, once there are some."""
    verdicts = (await rollout.look())["live"]["verdicts"]
    samples = verdicts and verdicts[0]["samples"]
    return samples["candidate_requests"] if samples else 0


async def _came_to_rest(rollout):
    """The same once it has stayed as it is for some probes."""
    before = await _counted(rollout)
    await asyncio.sleep(4)
    return before if before == await _counted(rollout) else 0
