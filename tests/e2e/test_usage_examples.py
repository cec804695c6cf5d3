"""The usage examples of the plan, sections 1 to 3, as a person would run them; answers counted."""

import asyncio

from tests.e2e.served import Variants
from tests.e2e.together import together
from tests.e2e.waiting import until

# Four standard deviations of a fair split, and a little for a gateway that counts in rounds.
SIGMAS, SLACK = 4, 0.03


async def shares(load, *, requests=300):
    """Who answers the requests that are sent from now on, as fractions; all must come back well."""
    start = len(load.timeline)
    sent_from = asyncio.get_running_loop().time()
    while True:
        later = [one for one in load.timeline.outcomes(start) if one.sent_at >= sent_from]
        if len(later) >= requests:
            assert {one.status for one in later} == {200}
            names = [one.variant for one in later]
            return {name: names.count(name) / len(names) for name in set(names)}
        await asyncio.sleep(0.1)


async def divided(load, **expected):
    """See the answers divide as expected, percent by workload."""
    seen = await shares(load)
    assert seen.keys() == {name for name, weight in expected.items() if weight}, (seen, expected)
    for name, weight in expected.items():
        fair = weight / 100
        allowed = SIGMAS * (fair * (1 - fair) / 300) ** 0.5 + SLACK
        assert abs(seen.get(name, 0) - fair) <= allowed, (seen, expected)


@together
async def test_a_canary_is_added_grown_and_promoted_by_hand(scene):
    served = await scene.serve("example-canary")
    async with served.load(rps=60) as load:
        added = await served.variants.add("canary", "v2", weight=10)
        canary = added.workload("canary")
        assert added.weights == {"stable": 90, "canary": 10}
        await divided(load, **{served.stable: 90, canary: 10})

        grown = await served.variants.set_weights(stable=50, canary=50)
        assert grown.weights == {"stable": 50, "canary": 50}
        await divided(load, **{served.stable: 50, canary: 50})

        promoted = await served.variants.promote("canary")
        assert promoted.weights == {"stable": 100, "old-stable-1": 0}
        assert promoted.workload("stable") == canary
        await divided(load, **{canary: 100})

        back = await served.variants.roll_back()
        assert back.workload("stable") == served.stable
        await divided(load, **{served.stable: 100})


@together
async def test_several_variants_share_the_traffic_in_a_test(scene):
    served = await scene.serve("example-ab", v3="latency_ms=20", strategy="ab_test")
    async with served.load(rps=60) as load:
        await served.variants.add("variant_b", "v2", weight=0)
        both = await served.variants.add("variant_c", "v3", weight=0)
        assert both.weights == {"stable": 100, "variant_b": 0, "variant_c": 0}
        await divided(load, **{served.stable: 100})

        split = await served.variants.set_weights(stable=34, variant_b=33, variant_c=33)
        workloads = {name: split.workload(name) for name in split.weights}
        await divided(
            load,
            **{workloads["stable"]: 34, workloads["variant_b"]: 33, workloads["variant_c"]: 33},
        )
        seen = await scene.get(
            "/metrics/compare/example-ab",
            variant=["stable", "variant_b", "variant_c"],
            window="10s",
        )
        assert all(one["requests"] > 0 for one in (seen["stable"], *seen["variants"])), seen

        gone = await served.variants.delete("variant_c")
        assert gone.weights == {"stable": 67, "variant_b": 33}
        await divided(load, **{served.stable: 67, workloads["variant_b"]: 33})


@together
async def test_blue_and_green_switch_and_switch_back_in_one_write_each(scene):
    served = await scene.serve("example-blue", strategy="blue_green", stable_variant_name="blue")
    async with served.load(rps=60) as load:
        await served.variants.add("green", "v2")
        setup = await served.variants.set_weights(blue=100, green=0)
        green = setup.workload("green")
        await divided(load, **{served.stable: 100})

        switched = await served.variants.set_weights(blue=0, green=100)
        assert switched.weights == {"blue": 0, "green": 100}
        await divided(load, **{green: 100})

        back = await served.variants.roll_back()
        assert back.weights == {"blue": 100, "green": 0}
        await divided(load, **{served.stable: 100})


@together
async def test_a_former_stable_is_retired_after_its_window_and_deployed_again_to_go_back(scene):
    served = await scene.serve("example-window", rollback_window_seconds=3)
    await served.variants.add("canary", "v2", weight=20)
    await served.variants.promote("canary")

    async def retired():
        config = await served.config()
        statuses = {one["variant_name"]: one["status"] for one in config["variants"]}
        left = await served.workloads()
        return statuses["old-stable-1"] == "retired" and served.stable not in left

    await until(retired, "the former stable is retired", within=60)
    async with served.load() as load:
        back = await served.variants.roll_back()
        assert back.workload("stable") == served.stable
        await divided(load, **{served.stable: 100})


@together
async def test_what_cannot_be_done_changes_nothing(scene):
    served = await scene.serve("example-undone", v3="fail_load=1")
    async with served.load() as load:
        answer = await scene.call(
            "POST",
            f"/traffic_configs/{served.config_id}/variants",
            {"variant_name": "canary", "model_version_id": served.versions["v3"], "weight": 10},
        )
        assert answer.status_code == 502, answer.text
        assert "fail_load" in answer.json()["detail"]
        for weights in ({"stable": 60, "nobody": 40}, {"stable": 101}, {"stable": 90}):
            path = f"/traffic_configs/{served.config_id}/weights"
            refused = await scene.call("PATCH", path, {"weights": weights})
            assert refused.status_code == 400, refused.text
        await divided(load, **{served.stable: 100})
    await served.at_rest(served.stable, "v1")


@together
async def test_a_deleted_config_takes_its_route_and_variants_along(scene):
    served = await scene.serve("example-deleted")
    await served.variants.add("canary", "v2", weight=10)
    answer = await scene.call("DELETE", f"/traffic_configs/{served.config_id}")
    assert answer.status_code == 204, answer.text
    gone = await scene.call("GET", f"/traffic_configs/{served.config_id}")
    assert gone.status_code == 404
    assert await served.workloads() == [served.stable]
    again = await scene.post("/traffic_configs", inference_service_id=served.service_id)
    assert Variants.weights_of(again) == {"stable": 100}
