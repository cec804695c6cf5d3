"""Two hundred clients change fifty configs at once: none of their changes is lost, none half done."""

import asyncio
import random
from collections import Counter

import pytest

CLIENTS, CONFIGS, CALLS = 200, 50, 3
AT_ONCE, TRIES = 4, 5


@pytest.fixture(scope="module")
async def crowd(alone):
    """Fifty served models with a second variant each, which stands by."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number):
        async with turns:
            served = await alone.serve(f"crowd-{number}", stable="tokens=1", candidate="tokens=1")
            await served.variants.add("other", "v2", weight=0)
            return served

    return await asyncio.gather(*(one(number) for number in range(CONFIGS)))


@pytest.mark.timeout(600)
async def test_no_update_is_lost_and_whoever_is_refused_is_told_so(alone, crowd):
    answers = []

    async def client(number):
        chance = random.Random(number)
        for _ in range(CALLS):
            served = chance.choice(crowd)
            weight = chance.randint(0, 100)
            path = f"/traffic_configs/{served.config_id}/weights"
            body = {"weights": {"other": weight}, "actor": f"client-{number}"}
            answer = await _insisting(alone, path, body)
            answers.append((served.config_id, weight, answer))

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))

    statuses = Counter(answer.status_code for *_, answer in answers)
    assert statuses.keys() == {200, 409}, statuses
    assert sum(statuses.values()) == CLIENTS * CALLS
    for config_id, weight, answer in answers:
        if answer.status_code == 200:
            told = {v["variant_name"]: v["weight"] for v in answer.json()["variants"]}
            operation = answer.json()["operation"]
            assert operation is None or operation["summary"].endswith(f"other {weight} %")
            assert sum(told.values()) == 100, (config_id, told)
        else:
            assert answer.json()["type"] == "urn:tidegate:problem:already-running", answer.text
    for served in crowd:
        await _is_what_was_done_last(alone, served)


async def _insisting(scene, path, body):
    """Asked again while a busy engine has no time to begin, which does no harm."""
    tries_left = TRIES
    while True:
        answer = await scene.call("PATCH", path, body, timeout=120)
        tries_left -= 1
        if answer.status_code not in (503, 504) or not tries_left:
            return answer


async def _is_what_was_done_last(scene, served):
    """The registry, the gateway and the last operation that was done say the same."""
    config = await served.config()
    weights = {v["variant_name"]: v["weight"] for v in config["variants"]}
    assert sum(weights.values()) == 100
    by_workload = {v["kserve_isvc_name"]: v["weight"] for v in config["variants"]}
    assert await served.weights() == by_workload
    listed = await scene.get("/operations", subject_id=served.config_id, limit=100)
    assert listed["total"] == len(listed["items"])
    assert {one["phase"] for one in listed["items"]} == {"done"}
    changes = [one for one in listed["items"] if one["kind"] == "set_weights"]
    if changes:
        last = max(changes, key=lambda one: one["ended_at"])
        assert last["summary"].endswith(f"other {weights['other']} %"), (last, weights)
