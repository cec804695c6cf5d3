"""InferenceServices as running model servers: readiness, failures, restarts, stops, deletions."""

import asyncio
import json
import signal
from functools import partial

import psutil
import pytest

from sandbox.controllers.cluster import NotThere
from sandbox.controllers.resources import (
    ENDPOINT_SLICES,
    INFERENCE_SERVICES,
    SERVICES,
)
from sandbox.family import is_alive
from sandbox.load import Load
from tests.sandbox.controllers.world import eventually

FAST = "sim://chat?latency_ms=1"


async def test_a_ready_service_has_an_address_an_endpoint_and_a_scrape_target(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")

    status = (await world.service("chat"))["status"]
    assert status["modelStatus"]["states"] == {
        "activeModelState": "Loaded",
        "targetModelState": "Loaded",
    }
    assert status["modelStatus"]["transitionStatus"] == "UpToDate"
    service = await world.cluster.get(SERVICES, world.key("chat-predictor"))
    assert service["spec"]["ports"][0]["port"] == 80
    piece = await world.cluster.get(ENDPOINT_SLICES, world.key("chat-predictor"))
    port = piece["ports"][0]["port"]
    assert piece["endpoints"][0]["conditions"]["ready"] is True
    assert status["address"]["url"] == f"http://127.0.0.1:{port}"
    target = json.loads((world.homes.targets / f"{world.namespace}.chat.json").read_text())
    assert target[0]["targets"] == [f"127.0.0.1:{port}"]
    assert target[0]["labels"]["inferenceservice"] == "chat"
    async with world.http.get(f"http://127.0.0.1:{port}/metrics") as response:
        assert "vllm:num_requests_running" in await response.text()


async def test_a_loading_service_is_in_progress_and_has_no_ready_endpoint(world):
    await world.deploy("chat", "sim://chat?load_seconds=3")

    async def loading():
        model = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return model.get("transitionStatus") == "InProgress"

    async def listed():
        try:
            piece = await world.cluster.get(ENDPOINT_SLICES, world.key("chat-predictor"))
        except NotThere:
            return False
        return piece["endpoints"][0]["conditions"] == {
            "ready": False,
            "serving": False,
            "terminating": False,
        }

    await eventually(loading)
    await eventually(listed)
    assert not await world.is_ready("chat")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sim://chat?fail_load=1", "model 'chat' failed to load: fail_load is set"),
        ("sim://chat?latncy_ms=4", "unknown parameter 'latncy_ms'"),
        ("sim://chat?error_rate=1.5", "error_rate must be a number from 0 to 1"),
        ("hf://org/model", "is no simulated model"),
    ],
)
async def test_a_model_that_cannot_be_loaded_says_why(world, uri, message):
    await world.deploy("chat", uri)

    async def failure():
        model = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return model.get("transitionStatus") == "BlockedByFailedLoad" and model

    model = await eventually(failure)
    assert model["states"]["targetModelState"] == "FailedToLoad"
    assert model["lastFailureInfo"]["reason"] == "ModelLoadFailed"
    assert model["lastFailureInfo"]["exitCode"] == 1
    assert message in model["lastFailureInfo"]["message"]
    assert not await world.is_true("chat", "PredictorReady")


async def test_a_spec_without_a_model_is_invalid(world):
    await world.create(INFERENCE_SERVICES, "chat", {"predictor": {"minReplicas": 1}})

    async def invalid():
        model = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return model.get("transitionStatus") == "InvalidSpec" and model["lastFailureInfo"]

    assert (await eventually(invalid))["reason"] == "InvalidPredictorSpec"


async def deploy_several(world, *places, **model):
    model = {"modelFormat": {"name": "vLLM"}, **model}
    spec = {"predictor": {"model": model, "storageUris": list(places)}}
    await world.create(INFERENCE_SERVICES, "chat", spec)


async def test_several_models_are_served_by_one_server_that_names_them_all(world):
    await deploy_several(
        world,
        {"uri": "sim://chat?latency_ms=1&tokens=3", "mountPath": "/mnt/models/v1"},
        {"uri": "sim://chat?latency_ms=1&tokens=5", "mountPath": "/mnt/models/v2"},
    )
    await world.ready("chat")

    url = f"http://127.0.0.1:{await world.port('chat')}/v1"
    async with world.http.get(f"{url}/models") as response:
        listed = (await response.json())["data"]
    assert [one["id"] for one in listed] == ["chat", "v1", "v2"]
    for asked, tokens in (("chat", 3), ("v1", 3), ("v2", 5)):
        body = {"model": asked, "prompt": "hi"}
        async with world.http.post(f"{url}/completions", json=body) as response:
            assert (await response.json())["usage"]["completion_tokens"] == tokens


async def test_one_model_that_cannot_be_loaded_keeps_all_from_being_ready(world):
    await deploy_several(
        world,
        {"uri": FAST, "mountPath": "/mnt/models/v1"},
        {"uri": "sim://chat?fail_load=1", "mountPath": "/mnt/models/v2"},
    )

    async def failure():
        model = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return model.get("transitionStatus") == "BlockedByFailedLoad" and model

    assert "fail_load" in (await eventually(failure))["lastFailureInfo"]["message"]


@pytest.mark.parametrize(
    ("places", "model", "message"),
    [
        ([("/mnt/a", FAST)], {"storageUri": FAST}, "one of"),
        ([("mnt/a", FAST)], {}, "absolute"),
        ([("/mnt/../a", FAST)], {}, "absolute"),
        ([("/", FAST)], {}, "no root"),
        ([("/a/x", FAST), ("/b/y", FAST)], {}, "common parent"),
        ([("/mnt/a", FAST), ("/mnt/a", FAST)], {}, "share"),
        ([("/mnt/a", "")], {}, "empty"),
    ],
)
async def test_places_that_kserve_would_refuse_are_invalid(world, places, model, message):
    await deploy_several(world, *({"mountPath": p, "uri": u} for p, u in places), **model)

    async def invalid():
        status = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return status.get("transitionStatus") == "InvalidSpec" and status["lastFailureInfo"]

    assert message in (await eventually(invalid))["message"]


async def test_a_crashed_server_is_started_again(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")
    await world.connect("chat")
    await world.add_route("chat", world.namespace, {"chat": 100})
    await world.in_force("chat")
    before = server_of(world, "chat")

    before.send_signal(signal.SIGKILL)

    async def failed():
        model = (await world.service("chat"))["status"]["modelStatus"]
        return model.get("lastFailureInfo")

    assert "signal 9" in (await eventually(failed))["message"]
    await world.ready("chat")
    await world.served_by(world.namespace, "chat")
    assert server_of(world, "chat").pid != before.pid


async def test_a_stopped_service_ends_its_server_and_keeps_its_object(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")
    server = server_of(world, "chat")

    annotation = {"serving.kserve.io/stop": "true"}
    await world.cluster.merge(
        INFERENCE_SERVICES, world.key("chat"), {"metadata": {"annotations": annotation}}
    )

    await eventually(lambda: not is_alive(server))
    await eventually(partial(world.is_true, "chat", "Stopped"))
    with pytest.raises(NotThere):
        await world.cluster.get(SERVICES, world.key("chat-predictor"))

    annotation = {"serving.kserve.io/stop": "false"}
    await world.cluster.merge(
        INFERENCE_SERVICES, world.key("chat"), {"metadata": {"annotations": annotation}}
    )
    await world.ready("chat")


async def test_a_deleted_service_leaves_nothing(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")
    server = server_of(world, "chat")

    await world.cluster.delete(INFERENCE_SERVICES, world.key("chat"))

    await eventually(lambda: not is_alive(server))
    for resource, name in (
        (INFERENCE_SERVICES, "chat"),
        (SERVICES, "chat-predictor"),
        (ENDPOINT_SLICES, "chat-predictor"),
    ):
        with pytest.raises(NotThere):
            await world.cluster.get(resource, world.key(name))
    assert not list(world.homes.targets.glob(f"{world.namespace}.*"))
    assert not list(world.homes.state.glob(f"{world.namespace}.*.json"))


async def test_a_service_recreated_under_its_name_gets_a_new_server(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")
    first = server_of(world, "chat")

    await world.cluster.delete(INFERENCE_SERVICES, world.key("chat"))
    await eventually(lambda: deploys(world))
    await world.ready("chat")

    await eventually(lambda: server_of(world, "chat").pid != first.pid)
    await eventually(lambda: not is_alive(first))


async def deploys(world):
    try:
        await world.service("chat")
    except NotThere:
        await world.deploy("chat", FAST)
        return True
    return False


async def test_an_edited_service_changes_servers_without_a_gap(world):
    await world.deploy("chat", FAST)
    await world.ready("chat")
    await world.connect("chat")
    await world.add_route("chat", world.namespace, {"chat": 100})
    await world.in_force("chat")
    before = server_of(world, "chat")

    async with Load(world.envoy.url, world.namespace, 200) as load:
        model = {"storageUri": "sim://chat?latency_ms=2&load_seconds=0.5"}
        await world.cluster.merge(
            INFERENCE_SERVICES, world.key("chat"), {"spec": {"predictor": {"model": model}}}
        )
        await eventually(lambda: not is_alive(before))
        await asyncio.sleep(0.2)

    assert set(load.counts()) == {("chat", "2xx")}


async def test_an_annotated_mode_that_is_not_played_is_refused(world):
    await world.deploy("chat", FAST, deploymentMode="Knative")

    async def invalid():
        model = ((await world.service("chat")).get("status") or {}).get("modelStatus") or {}
        return model.get("lastFailureInfo")

    assert "Standard only" in (await eventually(invalid))["message"]


def server_of(world, name):
    """The process behind an InferenceService."""
    record = next(world.homes.state.glob(f"{world.namespace}.{name}.*.json"))
    return psutil.Process(json.loads(record.read_text())["process"]["pid"])
