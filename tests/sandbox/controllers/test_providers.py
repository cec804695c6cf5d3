"""Routes over providers: each attempt hears its own model name, and a failure falls back."""

import math
from collections import Counter

import pytest

from sandbox.controllers.resources import TRAFFIC_POLICIES
from sandbox.load import Load
from tests.sandbox.controllers.world import eventually

FAST = "sim://chat?latency_ms=1"
BROKEN = "sim://chat?latency_ms=1&error_rate=1"


@pytest.fixture
async def providers(world):
    """Two providers outside the cluster, `aws` and `gcp`; the namespace is the model's name."""
    for name in ("aws", "gcp"):
        await world.deploy(name, FAST)
    await world.ready("aws", "gcp")
    for name in ("aws", "gcp"):
        await world.add_provider(name, await world.port(name))
    return world


def ref(name, override=None, **more):
    return {"name": name, **({"modelNameOverride": override} if override else {}), **more}


async def counted(world, times, model=None):
    return Counter([await world.answer(model or world.namespace) for _ in range(times)])


@pytest.mark.parametrize("is_split", [True, False])
async def test_each_provider_hears_its_own_name(providers, is_split):
    if is_split:
        await providers.split("vm")
    await providers.add_virtual("vm", providers.namespace, ref("aws", "a@1"), ref("gcp", "g:2"))
    await providers.in_force("vm")

    assert set(await counted(providers, 40)) == {(200, "aws", "a@1"), (200, "gcp", "g:2")}


async def test_a_provider_without_a_name_of_its_own_hears_the_clients(providers):
    await providers.add_virtual("vm", providers.namespace, ref("aws"))
    await providers.in_force("vm")

    assert await providers.answer(providers.namespace) == (200, "aws", providers.namespace)


async def test_a_client_cannot_name_the_provider_its_model(providers):
    await providers.add_virtual("vm", providers.namespace, ref("aws"))
    await providers.in_force("vm")

    answer = await providers.answer(providers.namespace, **{"x-model-name-override": "other"})
    assert answer == (200, "aws", providers.namespace)


@pytest.mark.parametrize("is_split", [True, False])
async def test_one_provider_may_stand_twice_under_different_names(providers, is_split):
    if is_split:
        await providers.split("vm")
    refs = (ref("aws", "large", weight=30), ref("aws", "small", weight=10))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")

    answers = await counted(providers, 400)
    assert set(answers) == {(200, "aws", "large"), (200, "aws", "small")}
    share = answers[200, "aws", "small"] / 400
    assert abs(share - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 400)


async def test_a_lower_priority_gets_nothing_as_long_as_the_higher_answers(providers):
    await providers.fall_back("vm", levels=2)
    refs = (ref("aws", "a", weight=1), ref("gcp", "g", weight=99, priority=1))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")

    assert set(await counted(providers, 40)) == {(200, "aws", "a")}


async def test_what_a_provider_fails_to_answer_the_next_priority_answers(providers):
    await providers.fall_back("vm", levels=2)
    refs = (ref("aws", "a"), ref("gcp", "g", priority=1))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")
    await providers.put_behaviour("aws", error_rate=1)

    assert set(await counted(providers, 40)) == {(200, "gcp", "g")}


async def test_a_fallback_may_be_another_model_of_the_same_provider(world):
    await world.deploy("openai", "sim://chat?latency_ms=1&error_rate=0.5")
    await world.ready("openai")
    await world.add_provider("openai", await world.port("openai"))
    await world.fall_back("vm", levels=2)
    refs = (ref("openai", "nano"), ref("openai", "nano-mini", priority=1))
    await world.add_virtual("vm", world.namespace, *refs)
    await world.in_force("vm")

    answers = await counted(world, 60)
    assert {name for _, _, name in answers if name} == {"nano", "nano-mini"}


async def test_each_priority_is_tried_in_its_order(providers):
    await providers.deploy("own", FAST)
    await providers.connect("own")
    await providers.ready("own")
    await providers.fall_back("vm", levels=3)
    refs = (ref("aws", "a"), ref("gcp", "g", priority=1), ref("own", "o", priority=2))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")

    await providers.put_behaviour("aws", error_rate=1)
    assert set(await counted(providers, 20)) == {(200, "gcp", "g")}
    await providers.put_behaviour("gcp", error_rate=1)
    assert set(await counted(providers, 20)) == {(200, "own", "o")}


async def test_weights_divide_the_traffic_within_a_priority(providers):
    await providers.deploy("own", BROKEN)
    await providers.connect("own")
    await providers.ready("own")
    await providers.fall_back("vm", levels=2)
    refs = (
        ref("own", "o"),
        ref("aws", "a", weight=30, priority=1),
        ref("gcp", "g", weight=10, priority=1),
    )
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")

    answers = await counted(providers, 400)
    assert set(answers) == {(200, "aws", "a"), (200, "gcp", "g")}
    share = answers[200, "gcp", "g"] / 400
    assert abs(share - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 400)


async def test_many_at_once_are_all_answered_by_the_fallback(providers):
    await providers.fall_back("vm", levels=2)
    refs = (ref("aws", "a"), ref("gcp", "g", priority=1))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")
    await providers.put_behaviour("aws", error_rate=1)

    async with Load(providers.envoy.url, providers.namespace, 300) as load:
        await eventually(lambda: sum(load.counts().values()) > 300)

    assert set(load.counts()) == {("gcp", "2xx")}


async def test_without_a_retry_policy_a_failure_is_final(providers):
    refs = (ref("aws", "a"), ref("gcp", "g", priority=1))
    await providers.add_virtual("vm", providers.namespace, *refs)
    await providers.in_force("vm")
    await providers.put_behaviour("aws", error_rate=1)

    assert set(await counted(providers, 10)) == {(500, "aws", "")}


async def test_a_policy_says_when_it_is_in_force(providers):
    await providers.fall_back("vm", levels=2)
    key = providers.key("retry-vm")
    assert not (await providers.cluster.get(TRAFFIC_POLICIES, key)).get("status")

    await providers.add_virtual("vm", providers.namespace, ref("aws"))

    async def taken():
        stored = await providers.cluster.get(TRAFFIC_POLICIES, key)
        said = [
            (one["ancestorRef"]["name"], condition["type"], condition["observedGeneration"])
            for one in (stored.get("status") or {}).get("ancestors") or []
            for condition in one["conditions"]
        ]
        return said == [("tidegate", "Accepted", stored["metadata"]["generation"])]

    await eventually(taken)
    await providers.cluster.merge(TRAFFIC_POLICIES, key, {"spec": {"retry": {"numRetries": 3}}})
    await eventually(taken)
