"""A/B/n tests on the whole cluster, seen in the answers that callers got."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

from tests.e2e.served import ERRORS, FAST
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on
from tests.metrics.exporter import exporting

POOR = "latency_ms=20&error_rate=0.3"
# A gate that bears with poor answers: here the reward decides.
LENIENT = {"name": "errors", "metric": "error_rate", "limit": 0.6}


async def compare(served, *arms, gates=(LENIENT,), **section):
    """A test between stable and the versions v2, v3, …, as arms b, c, …"""
    listed = [
        {"name": name, "version_id": served.versions[version], **more}
        for name, version, more in arms
    ]
    return await served.start(
        None,
        strategy="ab_test",
        steps=None,
        gates=list(gates),
        ab_test={"arms": listed, "at_most_seconds": 300, **section},
        policies=FAST,
    )


def workloads(rollout):
    challengers = (rollout.plan["candidate"], *rollout.plan["others"])
    return {one["name"]: one["workload"] for one in challengers}


@together
async def test_the_better_arm_wins_and_gets_all_traffic(scene):
    served = await scene.serve("contested", stable=POOR, candidate=POOR, v3="latency_ms=20")
    async with served.load(60) as users:
        rollout = await compare(served, ("b", "v2", {}), ("c", "v3", {}), on_winner="promote")
        await rollout.ended("promoted")
        arms = workloads(rollout)
        assert await served_from_now_on(users) == {arms["c"]}

    won = await rollout.told("verdict", "trial: winner")
    counted = {arm["arm"]: arm["total"] for arm in won["data"]["trial"]["arms"]}
    assert all(counted.values()), counted
    assert won["data"]["trial"]["winner"] == "c"
    assert failed(users) <= {rollout.stable, arms["b"]}
    await served.at_rest(arms["c"], "v3")


@together
async def test_an_arm_whose_gate_fails_leaves_and_the_test_goes_on(scene):
    served = await scene.serve(
        "rivalled", candidate="latency_ms=20&error_rate=0.5", v3="latency_ms=20"
    )
    async with served.load(60) as users:
        rollout = await compare(
            served,
            ("b", "v2", {}),
            ("c", "v3", {}),
            gates=[ERRORS],
            reward={"metric": "fast_rate", "slow_over_ms": 250},
        )
        left = await rollout.told("divided", "b leaves the trial")
        assert left["data"]["leaving"] == ["b"]
        await rollout.told("settled", "went to", after=left)
        arms = workloads(rollout)
        assert await served_from_now_on(users, requests=60) == {rollout.stable, arms["c"]}
        live = (await rollout.look())["live"]
        assert live["weights"] == {"stable": 67, "b": 0, "c": 33}
        assert {arm["arm"] for arm in live["trial"]["arms"]} == {"stable", "b", "c"}
        await rollout.command("abort", actor="ana")
        await rollout.ended("rolled_back")

    assert failed(users) == {arms["b"]}
    await served.at_rest(rollout.stable, "v1")


@together
async def test_users_find_their_arm_again_by_hash_and_by_cookie(scene):
    served = await scene.serve("recognised")
    early, late = "5e00", "5eff"
    async with (
        served.load(20, x_user_hash=early) as first,
        served.load(20, x_user_hash=late) as last,
    ):
        rollout = await compare(served, ("b", "v2", {}), sticky_header="x-user-hash")
        await rollout.told("step_started", "compare the arms")
        arms = workloads(rollout)
        assert await served_from_now_on(first) == {rollout.stable}
        assert await served_from_now_on(last) == {arms["b"]}
        await rollout.command("abort", actor="ana")
        await rollout.ended("rolled_back")
        assert await served_from_now_on(last) == {rollout.stable}
    assert failed(first) == failed(last) == set()

    beta = {"match": {"cookie": {"name": "group", "value": "beta"}}}
    async with served.load(20) as users, served.load(20, cookie="a=1; group=beta") as testers:
        rollout = await compare(served, ("b", "v2", beta))
        await rollout.told("step_started", "compare the arms")
        assert await served_from_now_on(users) == {rollout.stable}
        assert await served_from_now_on(testers) == {arms["b"]}
        await rollout.command("promote", actor="ana")
        await rollout.ended("promoted")
    assert failed(users) == failed(testers) == set()
    await served.at_rest(arms["b"], "v2")


@together
async def test_alike_arms_are_told_to_be_alike_and_stable_stays(scene):
    served = await scene.serve("twinned")
    async with served.load(80) as users:
        rollout = await compare(served, ("b", "v2", {}), equivalence_margin=0.1)
        await rollout.ended("concluded")
    await rollout.told("verdict", "trial: equivalent")
    assert failed(users) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_weights_follow_the_reward(scene):
    served = await scene.serve("followed", candidate=POOR)
    async with served.load(60) as users:
        rollout = await compare(
            served,
            ("b", "v2", {}),
            alpha=0.000001,
            allocation={
                "warm_up_seconds": 2,
                "update_every_seconds": 2,
                "step_limit": 30,
                "floor": 20,
            },
        )
        await rollout.told("divided", "stable 80 %, b 20 %")
        await rollout.command("abort", actor="ana")
        await rollout.ended("rolled_back")
    assert failed(users) == {workloads(rollout)["b"]}
    await served.at_rest(rollout.stable, "v1")


@asynccontextmanager
async def selling(users, shop, rates):
    """Have the shop count what its users buy of each answer, by who gave it."""

    def count():
        answered = Counter(one.variant for one in users.timeline.outcomes() if one.status == 200)
        for name, rate in rates.items():
            shop.write(
                {
                    f'offers_total{{served_by="{name}"}}': answered[name],
                    f'orders_total{{served_by="{name}"}}': int(answered[name] * rate),
                }
            )

    async def keep():
        while True:
            count()
            await asyncio.sleep(0.2)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()


@together
async def test_the_arm_whose_answers_sell_has_won(scene):
    served = await scene.serve("selling")
    sold = {"tries": "offers_total", "won": "orders_total", "label": "served_by"}
    targets = scene.layout.prometheus_targets_dir
    async with served.load(40) as users, exporting(targets, "selling") as shop:
        rollout = await compare(
            served,
            ("b", "v2", {}),
            reward={"metric": "conversion", "counters": sold},
            on_winner="keep",
        )
        arm = workloads(rollout)["b"]
        async with selling(users, shop, {rollout.stable: 0.1, arm: 0.6}):
            ended = await rollout.ended("concluded")

    assert "b has won" in ended["phase_reason"]
    assert failed(users) == set()
    await served.at_rest(rollout.stable, "v1")
