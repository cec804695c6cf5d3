"""Blue/green and shadow on the whole cluster, seen in the answers that callers got."""

from adapters.kubernetes.resources import INFERENCE_SERVICE
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.served import FAST
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on

# After the switch there is nobody to compare with.
LIMIT = {"name": "errors", "metric": "error_rate", "limit": 0.2}
TESTERS = {"preview": [{"name": "x-tester", "value": "yes"}]}
BROKEN = "latency_ms=20&error_rate=0.5"


def variants(load):
    """Who has answered."""
    return {one.variant for one in load.timeline.outcomes()}


async def blue_green(served, **section):
    return await served.start(
        strategy="blue_green",
        candidate_name="green",
        steps=None,
        gates=[LIMIT],
        blue_green={**TESTERS, **section},
        policies={**FAST, "scale_down_delay_seconds": 2},
    )


@together
async def test_green_is_seen_by_testers_judged_and_then_serves_everybody(scene):
    served = await scene.serve("ripening")
    async with served.load() as users, served.load(x_tester="yes") as testers:
        rollout = await blue_green(
            served,
            pre_promotion={"at_most_seconds": 120},
            automatic=True,
            post_promotion_seconds=2,
        )
        await rollout.told("step_started", "until proven")
        before = len(users.timeline)
        await rollout.ended("promoted")
        assert await served_from_now_on(users) == {rollout.candidate}

    assert failed(users) == failed(testers) == set()
    assert rollout.candidate in variants(testers)
    assert {one.variant for one in users.timeline.outcomes()[:before]} == {rollout.stable}
    await served.at_rest(rollout.candidate, "v2")
    assert "errors: pass" in (await rollout.told("verdict", "errors: pass"))["message"]


@together
async def test_green_that_fails_its_testers_is_seen_by_nobody_else(scene):
    served = await scene.serve("unripe", candidate=BROKEN)
    async with served.load() as users, served.load(x_tester="yes") as testers:
        rollout = await blue_green(served, pre_promotion={"at_most_seconds": 120}, automatic=True)
        await rollout.ended("rolled_back")

    assert failed(users) == set()
    assert variants(users) == {rollout.stable}
    assert failed(testers) == {rollout.candidate}
    await served.at_rest(rollout.stable, "v1")


@together
async def test_blue_is_there_again_at_once_after_the_switch(scene):
    served = await scene.serve("regretted")
    async with served.load() as users:
        rollout = await blue_green(served, post_promotion_seconds=600)
        await rollout.told("step_started", "until somebody promotes")
        assert variants(users) == {rollout.stable}
        await rollout.command("promote", actor="ana")
        await rollout.told("step_started", "stay at 100 %")
        assert await served_from_now_on(users) == {rollout.candidate}
        answer = await rollout.command("abort", actor="ana", reason="regret")
        assert answer["message"] == "all traffic is sent to stable"
        await rollout.ended("rolled_back")
        assert await served_from_now_on(users) == {rollout.stable}

    assert failed(users) == set()
    await served.at_rest(rollout.stable, "v1")


async def shadow(served, **section):
    return await served.start(
        strategy="shadow",
        candidate_name="shadow",
        steps=None,
        shadow={"percent": 50, "at_most_seconds": 120, **section},
    )


@together
async def test_a_shadow_is_judged_by_copies_and_answers_nobody(scene):
    served = await scene.serve("shadowed", protocol="v1")
    async with served.load(50) as users:
        rollout = await shadow(served)
        await rollout.ended("concluded")

    assert variants(users) == {rollout.stable}
    assert failed(users) == set()
    copied = await rollout.told("settled", "copies of", "50 % written")
    await rollout.told("settled", "0 copies of", "0 % written", after=copied)
    passed = await rollout.told("verdict", "errors: pass")
    samples = passed["data"]["verdict"]["samples"]
    assert 0.2 < samples["candidate_requests"] / samples["stable_requests"] < 0.8
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_failing_shadow_is_noticed_and_hurts_nobody(scene):
    served = await scene.serve("dim", candidate=BROKEN, protocol="v1")
    async with served.load(50) as users:
        rollout = await shadow(served)
        await rollout.ended("rolled_back")

    assert failed(users) == set()
    assert variants(users) == {rollout.stable}
    await rollout.told("verdict", "errors: fail")
    await rollout.told("settled", "0 copies of", "0 % written")
    await served.at_rest(rollout.stable, "v1")


def compared(served, size=10, **how):
    """A section that asks both for the same predictions, often enough for a test."""
    path = f"/v1/models/{served.model}:predict"
    sample = [{"path": path, "body": {"instances": [n]}} for n in range(size)]
    return {"compare": {"sample": sample, "every_seconds": 0.1, **how}}


@together
async def test_a_shadow_that_answers_otherwise_fails_by_its_answers(scene):
    served = await scene.serve("lying", candidate="latency_ms=20&value=2", protocol="v1")
    async with served.load(50) as users:
        rollout = await shadow(served, **compared(served, size=40, by="exact"))
        ended = await rollout.ended("rolled_back")

    assert failed(users) == set()
    assert variants(users) == {rollout.stable}
    assert ": predictions.0 is 1.0 and 2.0." in ended["phase_reason"]
    verdict = (await rollout.told("verdict", "answers: fail"))["data"]["verdict"]
    assert verdict["evidence"]["fail"] >= verdict["evidence"]["fail_needed"]
    verdicts = [one["message"] for one in await rollout.events("verdict")]
    assert not any(message.startswith("errors: fail") for message in verdicts), verdicts
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_shadow_whose_answers_agree_concludes_by_all_of_its_sample(scene):
    served = await scene.serve("honest", candidate="latency_ms=20&value=1.0005", protocol="v1")
    async with served.load(50) as users:
        rollout = await shadow(
            served, **compared(served, by="similarity", similarity="numbers", tolerance=0.001)
        )
        ended = await rollout.ended("concluded")

    assert variants(users) == {rollout.stable}
    assert "None of 10 answers differs. That is the whole sample" in ended["phase_reason"]
    await rollout.told("verdict", "errors: pass")
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_predictive_canary_is_mirrored_first_and_promoted(scene):
    served = await scene.serve("predicted", protocol="v1")
    steps = [
        {"set_scale": {"replicas": 2}},
        {"mirror": {"percent": 100, "seconds": 2}},
        {"weight": 50, "soak_seconds": 120},
    ]
    async with served.load(50) as users:
        rollout = await served.start(steps=steps)
        await rollout.told("step_started", "stay at 0 %")
        assert variants(users) == {rollout.stable}
        copied = await rollout.told("settled", "copies of", "100 % written")
        await rollout.told("settled", "0 copies of", "0 % written", after=copied)
        await rollout.ended("promoted")
        assert await served_from_now_on(users) == {rollout.candidate}

    assert failed(users) == set()
    await served.at_rest(rollout.candidate, "v2")
    found = await scene.hands.get(INFERENCE_SERVICE, NAMESPACE, rollout.candidate)
    assert found["spec"]["predictor"]["minReplicas"] == 2


@together
async def test_a_canary_waits_for_the_approval_of_its_owner(scene):
    served = await scene.serve("approved")
    steps = [{"set_weight": 20}, {"approval": {"roles": ["owner"]}}]
    async with served.load() as users:
        rollout = await served.start(steps=steps)
        await rollout.told("step_started", "until owner approves")
        refused = await scene.call("POST", f"/rollouts/{rollout.id}/approve", {"roles": ["guest"]})
        assert refused.status_code == 403, refused.text
        stale = await scene.call("POST", f"/rollouts/{rollout.id}/promote", {"expected_step": 0})
        assert stale.status_code == 409, stale.text
        await rollout.command("approve", actor="ana", roles=["owner"], expected_step=2)
        await rollout.ended("promoted")

    assert failed(users) == set()
    await served.at_rest(rollout.candidate, "v2")


@together
async def test_a_scale_that_somebody_changed_is_noticed_and_put_back(scene):
    served = await scene.serve("scaled")
    steps = [{"set_scale": {"replicas": 3}}, {"weight": 20, "soak_seconds": 600, "pace": "time"}]
    async with served.load() as users:
        rollout = await served.start(steps=steps)
        await rollout.soaking()
        change = {"spec": {"predictor": {"minReplicas": 1}}}
        await scene.hands.patch(
            INFERENCE_SERVICE, NAMESPACE, rollout.candidate, change, manager="kubectl-scale"
        )
        drifted = await rollout.told("drifted", "minReplicas is 1, was written as 3")
        assert "changed by kubectl-scale" in drifted["message"]
        await rollout.told("paused")
        await rollout.command("resume", actor="ana")
        await rollout.told("settled", "20 % written", after=drifted)
        found = await scene.hands.get(INFERENCE_SERVICE, NAMESPACE, rollout.candidate)
        assert found["spec"]["predictor"]["minReplicas"] == 3
        await rollout.command("abort")
        await rollout.ended("rolled_back")

    assert failed(users) == set()
