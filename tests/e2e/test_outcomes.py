"""How a rollout ends by itself."""

from adapters.kubernetes.resources import INFERENCE_SERVICE
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.served import ERRORS, LATENCY, LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on


@together
async def test_a_healthy_candidate_is_promoted_on_its_evidence(scene):
    served = await scene.serve("healthy")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, LATENCY])
        ended = await rollout.ended("promoted")
        assert await served_from_now_on(load) == {rollout.candidate}

    assert failed(load) == set()
    assert ended["candidate_weight"] == 100
    await served.at_rest(rollout.candidate, "v2")
    kinds = await rollout.kinds()
    assert kinds.index("deployed") < kinds.index("settled") < kinds.index("verdict")
    assert kinds.index("verdict") < kinds.index("promoted") < kinds.index("retired")
    assert "errors: pass" in (await rollout.told("verdict", "errors: pass"))["message"]
    assert not {"failed", "rollback_started", "metrics_lost", "drifted"} & set(kinds)
    assert await rollout.counted_too_late() == []


@together
async def test_a_candidate_that_returns_errors_is_rolled_back(scene):
    served = await scene.serve("erring", candidate="latency_ms=20&error_rate=0.5")
    async with served.load(50) as load:
        rollout = await served.start()
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == {rollout.candidate}
    await served.at_rest(rollout.stable, "v1")
    await rollout.told("verdict", "errors: fail")
    await rollout.told("rolled_back")
    assert "promoted" not in await rollout.kinds()


@together
async def test_a_slow_candidate_is_rolled_back_by_its_latency_gate(scene):
    served = await scene.serve("slow", candidate="latency_ms=300")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, LATENCY])
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")
    await rollout.told("verdict", "latency: fail")


@together
async def test_a_version_that_never_loads_is_rolled_back_without_a_request(scene):
    served = await scene.serve("unloadable", candidate="fail_load=1")
    async with served.load() as load:
        rollout = await served.start()
        ended = await rollout.ended("rolled_back", within=90)

    assert {one.variant for one in load.timeline.outcomes()} == {rollout.stable}
    assert failed(load) == set()
    assert rollout.candidate in ended["phase_reason"]
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_version_whose_uri_makes_no_sense_is_rolled_back(scene):
    served = await scene.serve("senseless", candidate="gopher://nowhere/model")
    async with served.load() as load:
        rollout = await served.start()
        ended = await rollout.ended("rolled_back", within=90)

    assert failed(load) == set()
    assert "gopher" in ended["phase_reason"]
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_candidate_deleted_by_hand_during_a_soak_is_rolled_back(scene):
    served = await scene.serve("deleted")
    async with served.load() as load:
        # Without a gate, which would be as fast as the look at the cluster.
        rollout = await served.start(steps=LONG, gates=[])
        await rollout.soaking()
        await scene.hands.delete(INFERENCE_SERVICE, NAMESPACE, rollout.candidate)
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert f"{rollout.candidate} is missing" in ended["phase_reason"]
    await served.at_rest(rollout.stable, "v1")


@together
async def test_without_traffic_a_rollout_holds_and_says_why_until_a_person_promotes(scene):
    served = await scene.serve("quiet")
    rollout = await served.start(policies={"settle_deadline_seconds": 3})
    await rollout.told("weights_set", "no request has come by")
    live = (await rollout.look())["live"]
    assert (live["candidate_weight"], live["phase"]) == (20, "progressing")
    assert "no request has come by" in live["reason"]

    await rollout.command("promote", actor="ana", reason="known good")
    await rollout.ended("promoted")
    await rollout.told("decided", "promoted by ana: known good")
    await served.at_rest(rollout.candidate, "v2")
