"""Weights that somebody else has changed."""

from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.served import LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on


@together
async def test_weights_changed_by_hand_pause_and_a_resume_puts_them_back(scene):
    served = await scene.serve("drifted")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await served.set_weights("kubectl-edit", v1=30, v2=70)
        drifted = await rollout.told("drifted", "kubectl-edit")
        assert "30 %, was written as" in drifted["message"]
        await rollout.told("paused", "kubectl-edit")
        assert await served.weights() == {rollout.stable: 30, rollout.candidate: 70}

        await rollout.command("resume", actor="ana", reason="that was me")
        # The first settling, before the drift, has said the same.
        await rollout.told("settled", "20 % written", after=drifted)
        assert await served.weights() == {rollout.stable: 80, rollout.candidate: 20}
        await rollout.command("abort")
        await rollout.ended("rolled_back")

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_an_abort_takes_the_weights_back_from_whoever_changed_them(scene):
    served = await scene.serve("wrested")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await served.set_weights("argocd-controller", v1=0, v2=100)
        await rollout.told("paused", "argocd-controller")
        await rollout.command("abort", actor="ana")
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_by_policy_drift_is_rolled_back(scene):
    served = await scene.serve("strict")
    async with served.load() as load:
        rollout = await served.start(steps=LONG, policies={"on_drift": "rollback"})
        await rollout.soaking()
        await served.set_weights("kubectl-edit", v1=50, v2=50)
        ended = await rollout.ended("rolled_back")

    assert "kubectl-edit" in ended["phase_reason"]
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_route_deleted_by_hand_is_written_anew_on_the_way_home(scene):
    served = await scene.serve("routeless")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await scene.hands.delete(AI_GATEWAY_ROUTE, NAMESPACE, served.route)
        await rollout.told("drifted")
        await rollout.command("abort", actor="ana")
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}
    await served.at_rest(rollout.stable, "v1")
