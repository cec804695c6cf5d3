"""A gateway that does not do what it says: only the requests themselves show it."""

import json

from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from sandbox.controllers.disobedience import ANNOTATION
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on
from tests.e2e.waiting import until

# Some 230 requests of the candidate are proof: by then the shares have told.
ERRORS = {"name": "errors", "metric": "error_rate", "against_stable": {"floor": 0.02}}


@together
async def test_a_load_that_is_shifted_away_behind_the_weights_holds_the_rollout(scene):
    served = await scene.serve("shifted")
    async with served.load(50) as load:
        steps = [{"weight": 50, "soak_seconds": 600}]
        rollout = await served.start(steps=steps, gates=[ERRORS])
        await rollout.soaking(50)
        await disobey(served, {0: 75, 1: 25})

        told = await rollout.told("verdict", "errors: undecided", "do not arrive as weighted")
        assert "50 % were due" in told["message"]

        async def proven_but_for_the_split():
            chart = await scene.get(f"/rollouts/{rollout.id}/evidence")
            last = chart["gates"][0]["points"][-1]
            assert last["status"] == "undecided", last
            return last["evidence"] and last["evidence"]["pass"] > last["evidence"]["pass_needed"]

        await until(proven_but_for_the_split, "evidence enough", within=60)
        assert await served.weights() == {rollout.stable: 50, rollout.candidate: 50}

        await disobey(served, None)
        await rollout.command("abort")
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    assert not {"failed", "drifted"} & set(await rollout.kinds())
    await served.at_rest(rollout.stable, "v1")


async def disobey(served, weights):
    """Have the gateway give these weights by slot, whatever the route says; None: obey."""
    said = None if weights is None else json.dumps(weights)
    change = {"metadata": {"annotations": {ANNOTATION: said}}}
    await served.scene.hands.patch(AI_GATEWAY_ROUTE, NAMESPACE, served.route, change)
