"""An inference service from its deployment to its end, on the whole cluster."""

import asyncio
from typing import Any

from adapters.kubernetes.resources import INFERENCE_SERVICE
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.scene import HEALTHY
from tests.e2e.together import together
from tests.e2e.waiting import until


class Registered:
    """A model of three versions, and the one inference service that is made of it."""

    def __init__(self, scene, name, ids):
        self.scene, self.name, self.ids = scene, name, ids
        self.path = ""

    @classmethod
    async def of(cls, scene, name, **behaviours):
        model = await scene.post("/registered_models", name=name)
        ids = {"model": model["id"], "environment": await scene._environment()}
        for version, said in behaviours.items():
            made = await scene.post(
                f"/registered_models/{model['id']}/versions",
                name=version,
                uri=f"sim://{name}?{said}",
                model_format="vLLM",
            )
            ids[version] = made["id"]
        return cls(scene, name, ids)

    async def serve(self, *versions):
        service = await self.scene.post(
            "/inference_services",
            name=self.name,
            serving_environment_id=self.ids["environment"],
            registered_model_id=self.ids["model"],
            model_version_ids=[self.ids[version] for version in versions],
        )
        self.path = f"/inference_services/{service['id']}"

    async def patch(self, **change):
        answer = await self.scene.call("PATCH", self.path, change)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def reaches(self, state):
        async def reached():
            found = await self.scene.get(self.path)
            return found if found["current_state"] == state else None

        return await until(reached, f"{self.name} {state}")

    async def on_cluster(self):
        """The predictors of the service's InferenceServices."""
        listed = await self.scene.hands.call("GET", INFERENCE_SERVICE.path(NAMESPACE))
        return [
            one["spec"]["predictor"]
            for one in listed["items"]
            if one["metadata"]["name"].startswith(f"{self.name}-")
        ]


@together
async def test_a_service_of_two_versions_is_deployed_undeployed_and_deleted(scene):
    it = await Registered.of(scene, "twofold", v1=HEALTHY, v2=HEALTHY)
    await it.serve("v1", "v2")
    service = await it.reaches("deployed")
    assert [one["model_version_name"] for one in service["served_models"]] == ["v1", "v2"]
    (predictor,) = await it.on_cluster()
    assert predictor["storageUris"] == [
        {"uri": f"sim://twofold?{HEALTHY}", "mountPath": "/mnt/models/v1"},
        {"uri": f"sim://twofold?{HEALTHY}", "mountPath": "/mnt/models/v2"},
    ]

    going = await it.patch(desired_state="undeployed")
    assert going["current_state"] == "undeploying"
    await it.reaches("undeployed")
    assert await it.on_cluster() == []

    await it.patch(desired_state="deployed")
    await it.reaches("deployed")
    assert await it.on_cluster() == [predictor]

    answer = await scene.call("DELETE", it.path)
    assert answer.status_code == 204, answer.text
    assert (await scene.call("GET", it.path)).status_code == 404
    assert await it.on_cluster() == []
    for path in (f"/model_versions/{it.ids['v1']}", f"/model_versions/{it.ids['v2']}"):
        assert (await scene.call("DELETE", path)).status_code == 204
    answer = await scene.call("DELETE", f"/registered_models/{it.ids['model']}")
    assert answer.status_code == 204


@together
async def test_other_versions_take_over_and_a_version_that_never_loads_does_not(scene):
    it = await Registered.of(scene, "turning", v1=HEALTHY, v2=HEALTHY, v3="fail_load=1")
    await it.serve("v1")
    await it.reaches("deployed")

    await it.patch(model_version_ids=[it.ids["v2"]])
    await it.reaches("deployed")
    (predictor,) = await it.on_cluster()
    assert predictor["model"]["storageUri"] == f"sim://turning?{HEALTHY}"

    await it.patch(model_version_ids=[it.ids["v3"]])
    failed = await it.reaches("failed")
    assert "fail_load" in failed["state_reason"]
    assert len(await it.on_cluster()) == 2, "what served before serves on"

    await it.patch(model_version_ids=[it.ids["v2"]])
    await it.reaches("deployed")
    assert await it.on_cluster() == [predictor]
    assert (await scene.call("DELETE", it.path)).status_code == 204


@together
async def test_of_many_changes_at_once_none_is_lost_and_none_is_mixed(scene):
    it = await Registered.of(scene, "crowded", v1=HEALTHY, v2=HEALTHY, v3=HEALTHY)
    await it.serve("v1")
    await it.reaches("deployed")
    wishes: list[dict[str, Any]] = [{"model_version_ids": [it.ids[v]]} for v in ("v2", "v3")] * 4
    wishes += [{"desired_state": "undeployed"}] * 4

    answers = await asyncio.gather(*(scene.call("PATCH", it.path, wish) for wish in wishes))

    assert {answer.status_code for answer in answers} <= {200, 409}
    taken = [w for w, answer in zip(wishes, answers, strict=True) if answer.status_code == 200]
    # To undeploy cuts a deployment short; nothing here wishes for one after that.
    desired = "undeployed" if {"desired_state": "undeployed"} in taken else "deployed"
    service = await it.reaches(desired)
    served = {"model_version_ids": [one["model_version_id"] for one in service["served_models"]]}
    assert served in taken or served == {"model_version_ids": [it.ids["v1"]]}
    assert len(await it.on_cluster()) == (desired == "deployed")


@together
async def test_a_deployment_that_takes_long_can_be_called_off(scene):
    it = await Registered.of(scene, "endless", v1=f"{HEALTHY}&load_seconds=600")
    await it.serve("v1")

    async def loads():
        return await it.on_cluster()

    await until(loads, "its InferenceService stands")
    assert (await scene.call("DELETE", it.path)).status_code == 204
    assert await it.on_cluster() == []


@together
async def test_a_service_whose_traffic_is_divided_stays_until_that_has_ended(scene):
    served = await scene.serve("kept")
    config = await served.config()
    path = f"/inference_services/{config['inference_service_id']}"
    for method, body in (("DELETE", None), ("PATCH", {"desired_state": "undeployed"})):
        answer = await scene.call(method, path, body)
        assert answer.status_code == 409, answer.text
        assert config["id"] in answer.json()["detail"]
    assert (await scene.get(path))["current_state"] == "deployed"
