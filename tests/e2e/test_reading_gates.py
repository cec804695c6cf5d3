"""Gates on the answers of a query, asked of the store that the other gates are judged by."""

from tests.e2e.served import ERRORS
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on

# Whatever the candidate answers is held against it.
FAILING = {
    "name": "quality",
    "query": 'sum(vllm:prompt_tokens_total{model_name="{{candidate.workload}}"})',
    "failure_condition": "result[0] > 0",
    "interval_seconds": 1,
    "failure_limit": 2,
}
SILENT = FAILING | {"name": "silent", "query": 'nobody_counts{model="{{candidate.workload}}"}'}


@together
async def test_a_query_whose_answers_fail_rolls_back_with_its_reason(scene):
    served = await scene.serve("misjudged")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, FAILING])
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    assert "3 failures: failure_limit is 2" in ended["phase_reason"]
    await served.at_rest(rollout.stable, "v1")
    await rollout.told("verdict", "quality: fail")


@together
async def test_a_query_without_an_answer_neither_passes_nor_fails(scene):
    served = await scene.serve("unanswered")
    short, policies = ({"weight": 20, "soak_seconds": 20},), {"on_undecided": "rollback"}
    async with served.load(50) as load:
        wish = {"gates": [ERRORS, SILENT], "steps": short, "policies": policies}
        rollout = await served.start(**wish)
        await rollout.told("verdict", "errors: pass")
        ended = await rollout.ended("rolled_back")

    assert failed(load) == set()
    assert "undecided at the end" in ended["phase_reason"]
    assert "inconclusive: no series" in ended["phase_reason"]
    told = [event["message"] for event in await rollout.events("verdict")]
    assert not [one for one in told if one.startswith(("silent: pass", "silent: fail"))]


@together
async def test_a_dry_run_fails_and_the_rollout_is_promoted_all_the_same(scene):
    served = await scene.serve("tried")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, FAILING | {"dry_run": True}])
        await rollout.ended("promoted")

    assert failed(load) == set()
    await rollout.told("verdict", "quality: fail")
    await served.at_rest(rollout.candidate, "v2")
