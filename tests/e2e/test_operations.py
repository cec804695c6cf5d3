"""Changes by hand when something breaks, and beside rollouts."""

import asyncio

from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on
from tests.e2e.waiting import until


async def ended(scene, served, phase):
    """The last operation on the config, once it has ended, which must be so."""

    async def last():
        listed = await scene.get("/operations", subject_id=served.config_id, limit=1)
        found = listed["items"][0]
        return found if found["ended_at"] else None

    operation = await until(last, "the operation ends", within=90)
    assert operation["phase"] == phase, operation
    return operation


@together
async def test_an_operation_that_is_terminated_is_taken_back(scene):
    served = await scene.serve("op-terminated", candidate="load_seconds=120")
    async with served.load() as load:
        adding = asyncio.create_task(
            scene.call(
                "POST",
                f"/traffic_configs/{served.config_id}/variants",
                {"variant_name": "canary", "model_version_id": served.versions["v2"], "weight": 10},
                timeout=120,
            )
        )

        async def waits_for_its_model():
            return len(await served.workloads()) == 2

        await until(waits_for_its_model, "the canary is loading")
        workflow = f"traffic-{served.config_id}"
        await scene.temporal("terminate", "--workflow-id", workflow, "--reason", "a test")
        operation = await ended(scene, served, "undone")
        assert "caretaker" in operation["detail"]
        assert (await adding).status_code == 409
        assert await served_from_now_on(load) == {served.stable}
    assert failed(load) == set()
    await served.at_rest(served.stable, "v1")


@together
async def test_an_operation_takes_longer_than_the_answer_and_can_be_followed(scene):
    served = await scene.serve("op-slow", candidate="load_seconds=75")
    answer = await scene.call(
        "POST",
        f"/traffic_configs/{served.config_id}/canary",
        {"model_version_id": served.versions["v2"]},
        timeout=120,
    )
    assert answer.status_code == 504, answer.text
    running = answer.json()["running"]
    busy = await scene.call("POST", f"/traffic_configs/{served.config_id}/rollback")
    assert busy.status_code == 409
    assert busy.json()["running"]["operation_id"] == running["operation_id"]
    operation = await ended(scene, served, "done")
    assert running["href"].endswith(operation["id"])
    assert (await served.division()).weights == {"stable": 90, "canary": 10}


@together
async def test_a_variant_that_stands_by_outlives_a_rollout_beside_it(scene):
    served = await scene.serve("op-beside", v3="latency_ms=20&jitter_ms=5")
    added = await served.variants.add("green", "v2")
    green = added.workload("green")
    async with served.load(rps=40) as load:
        rollout = await served.start("v3")
        busy = await scene.call(
            "PATCH", f"/traffic_configs/{served.config_id}/weights", {"weights": {"green": 10}}
        )
        assert busy.status_code == 409
        assert busy.json()["running"]["rollout_id"] == rollout.id
        await rollout.ended("promoted", within=120)
        await until(lambda: _may_change(scene, served, {"green": 100}), "green takes all")
        assert await served_from_now_on(load) == {green}
    assert failed(load) == set()


async def _may_change(scene, served, weights):
    path = f"/traffic_configs/{served.config_id}/weights"
    answer = await scene.call("PATCH", path, {"weights": weights}, timeout=120)
    assert answer.status_code in {200, 409}, answer.text
    return answer.status_code == 200


async def test_a_cluster_that_does_not_answer_is_a_503_and_changes_nothing(alone):
    served = await alone.serve("op-unreachable")
    await served.variants.add("canary", "v2", weight=10)
    async with served.load() as load:
        await alone.hands.faults("error", seconds=25)
        answer = await alone.call(
            "PATCH",
            f"/traffic_configs/{served.config_id}/weights",
            {"weights": {"canary": 50}},
            timeout=120,
        )
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"] == "urn:tidegate:problem:cluster-unreachable"
        await ended(alone, served, "undone")
        assert (await served.division()).weights == {"stable": 90, "canary": 10}
        assert sorted((await served.weights()).values()) == [10, 90]
        assert (await served.variants.set_weights(canary=20)).weights["canary"] == 20
    assert failed(load) == set()
