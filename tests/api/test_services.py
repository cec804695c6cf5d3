"""Inference services: several versions, deployed and undeployed, one change at a time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from api.errors import EngineUnreachable
from domain.errors import AlreadyRunning
from domain.registry import InferenceService, ServiceState
from tests.api.caller import service_of
from tests.api.staging import change

LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture
async def ids(api):
    """A project with a second service, `idle`, which has no traffic config."""
    made = await api.served()
    idle = await api.made("/inference_services", service_of(made, name="idle"))
    return {**made, "idle": idle["id"]}


@pytest.fixture
def path(ids):
    return f"/inference_services/{ids['idle']}"


def served_by(service):
    return [(one["position"], one["model_version_name"]) for one in service["served_models"]]


async def test_several_versions_are_served_side_by_side_in_order(api, ids, control):
    body = service_of(ids, name="both", model_version_ids=[ids["v2"], ids["v1"]])
    made = await api.made("/inference_services", {**body, "description": "two at once"})
    service = (await api.get(f"/inference_services/{made['id']}")).json()
    assert service["served_models"] == [
        {
            "model_version_id": ids[name],
            "model_version_name": name,
            "registered_model_id": ids["model"],
            "position": position,
        }
        for position, name in enumerate(["v2", "v1"])
    ]
    assert (service["description"], service["current_state"]) == ("two at once", "deployed")
    workload = control.deployed[-1]
    assert [(one.mount, one.uri) for one in workload.artefacts] == [
        ("v2", "sim://chat-v2"),
        ("v1", "sim://chat-v1"),
    ]


@pytest.mark.parametrize(
    ("pick", "rule"),
    [
        (lambda ids: [], "at least 1 item"),
        (lambda ids: [ids["v1"], ids["v1"]], "each version once"),
        (lambda ids: [ids["v1"]] * 17, "at most 16 items"),
        (lambda ids: None, "valid list"),
    ],
)
async def test_a_list_of_versions_has_1_to_16_each_once(api, ids, path, pick, rule):
    wish = {"model_version_ids": pick(ids)}
    for answer in (
        await api.post("/inference_services", service_of(ids, name="odd", **wish)),
        await api.patch(path, wish),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == "model_version_ids"
        assert rule in error["rule"]


async def test_the_single_version_of_old_is_not_known_any_more(api, ids):
    body = {**service_of(ids, name="old"), "model_version_id": ids["v1"]}
    answer = await api.post("/inference_services", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "model_version_id")


async def test_versions_of_two_formats_are_not_served_together(api, ids, path):
    body = {"name": "onnx", "uri": "s3://a/b", "model_format": "onnx"}
    other = (await api.made(f"/registered_models/{ids['model']}/versions", body))["id"]
    answer = await api.patch(path, {"model_version_ids": [ids["v1"], other]})
    assert answer.status_code == 422
    assert "one model_format" in answer.json()["errors"][0]["rule"]


async def test_a_service_is_undeployed_and_deployed_again(api, path, control):
    down = (await api.patch(path, {"desired_state": "undeployed"})).json()
    assert (down["desired_state"], down["current_state"]) == ("undeployed", "undeploying")
    order = control.orders[-1]
    assert order.wanted is None
    assert [w.name for w in order.leaving] == [control.deployed[-1].name]
    assert (await api.get(path)).json()["current_state"] == "undeployed"

    up = (await api.patch(path, {"desired_state": "deployed"})).json()
    assert (up["desired_state"], up["current_state"]) == ("deployed", "deploying")
    assert control.orders[-1].wanted == order.leaving[0]
    assert (await api.get(path)).json()["current_state"] == "deployed"


async def test_what_is_so_already_is_not_done_again(api, ids, path, control):
    asked = len(control.orders)
    for wish in ({"desired_state": "deployed"}, {"model_version_ids": [ids["v1"]]}):
        assert (await api.patch(path, wish)).json()["current_state"] == "deployed"
    assert len(control.orders) == asked


async def test_other_versions_come_before_the_former_ones_go(api, ids, path, control):
    before = control.deployed[-1]
    changed = (await api.patch(path, {"model_version_ids": [ids["v3"], ids["v2"]]})).json()
    assert served_by(changed) == [(0, "v3"), (1, "v2")]
    order = control.orders[-1]
    assert (order.wanted, order.leaving) == (control.deployed[-1], (before,))


async def test_an_undeployed_service_takes_other_versions_without_being_deployed(
    api, ids, path, control
):
    await api.patch(path, {"desired_state": "undeployed"})
    asked = len(control.orders)
    changed = (await api.patch(path, {"model_version_ids": [ids["v2"]]})).json()
    assert (served_by(changed), changed["current_state"]) == ([(0, "v2")], "undeployed")
    assert len(control.orders) == asked


async def test_what_failed_is_tried_again_and_what_it_left_over_goes(
    api, ids, path, control, registry
):
    first = control.deployed[-1]
    control.holds = True
    await api.patch(path, {"model_version_ids": [ids["v2"]]})
    failed = {"current_state": ServiceState.FAILED, "state_reason": "no such model"}
    change(registry, InferenceService, ids["idle"], **failed)
    assert (await api.get(path)).json()["state_reason"] == "no such model"
    control.holds = False
    await api.patch(path, {"model_version_ids": [ids["v3"]]})
    names = [w.name for w in control.orders[-1].leaving]
    assert names == [first.name, control.orders[-2].wanted.name]
    service = (await api.get(path)).json()
    assert (service["current_state"], service["state_reason"]) == ("deployed", "")


async def test_while_a_change_runs_another_is_refused_and_the_same_joins(api, ids, path, control):
    control.holds = True
    await api.patch(path, {"desired_state": "undeployed"})
    for wish in ({"desired_state": "deployed"}, {"model_version_ids": [ids["v2"]]}):
        answer = await api.patch(path, wish)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:tidegate:problem:already-running"
        assert "'idle' is undeploying" in answer.json()["detail"]
    assert (await api.patch(path, {"description": "meanwhile"})).status_code == 200
    again = await api.patch(path, {"desired_state": "undeployed"})
    assert (again.status_code, again.json()["current_state"]) == (200, "undeploying")
    assert [order.wanted for order in control.orders[-2:]] == [None, None]


@pytest.mark.parametrize("deletes", [False, True])
async def test_undeploying_cuts_short_a_deployment_that_takes_long(
    api, ids, path, control, deletes
):
    control.holds = True
    await api.patch(path, {"model_version_ids": [ids["v2"]]})
    control.serving.add(UUID(ids["idle"]))
    control.holds = False
    if deletes:
        assert (await api.delete(path)).status_code == 204
    else:
        assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 200
        assert (await api.get(path)).json()["current_state"] == "undeployed"
    assert len(control.orders[-1].leaving) == 2


async def test_a_change_that_nobody_carries_out_gives_way_to_another(
    api, ids, path, control, registry
):
    control.holds = True
    await api.patch(path, {"desired_state": "undeployed"})
    change(registry, InferenceService, ids["idle"], updated_at=LONG_AGO)
    control.serving.add(UUID(ids["idle"]))
    assert (await api.patch(path, {"desired_state": "deployed"})).status_code == 409
    control.serving.clear()
    control.holds = False
    assert (await api.patch(path, {"desired_state": "deployed"})).status_code == 200
    assert (await api.get(path)).json()["current_state"] == "deployed"


async def test_a_run_that_does_something_else_refuses_the_change(api, path, control):
    control.fail("serve", AlreadyRunning("another change of this service is running"))
    assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 409


async def test_nothing_is_stored_when_nobody_could_carry_it_out(api, path, control):
    before = (await api.get(path)).json()
    control.outage(EngineUnreachable())
    assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 503
    assert (await api.delete(path)).status_code == 503
    control.outage(None)
    assert (await api.get(path)).json() == before


async def test_a_change_whose_start_failed_is_taken_up_by_its_repeat(api, path, control):
    control.fail("serve", EngineUnreachable())
    assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 503
    assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 200
    assert (await api.get(path)).json()["current_state"] == "undeployed"


@pytest.mark.parametrize(
    "wish", [{"desired_state": "undeployed"}, {"model_version_ids": ["v2"]}, None]
)
async def test_a_service_with_a_traffic_config_keeps_what_it_needs(api, ids, control, wish):
    path = f"/inference_services/{ids['service']}"
    asked = len(control.orders)
    if wish is None:
        answer = await api.delete(path)
    else:
        versions = {"model_version_ids": [ids["v2"]]} if "model_version_ids" in wish else wish
        answer = await api.patch(path, versions)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidegate:problem:in-use")
    assert f"traffic config of 'chat' ({ids['config']})" in answer.json()["detail"]
    assert len(control.orders) == asked


async def test_a_deployment_that_a_traffic_config_waits_for_is_not_cut_short(
    api, ids, control, registry
):
    path, its_id = f"/inference_services/{ids['service']}", UUID(ids["service"])
    change(registry, InferenceService, its_id, current_state=ServiceState.DEPLOYING)
    control.serving.add(its_id)
    assert (await api.delete(path)).status_code == 409
    assert (await api.patch(path, {"desired_state": "undeployed"})).status_code == 409
    assert its_id in control.serving


async def test_a_failed_service_with_a_traffic_config_is_only_deployed_again(
    api, ids, control, registry
):
    path = f"/inference_services/{ids['service']}"
    leaving = (control.deployed[0],)
    failed = {"current_state": ServiceState.FAILED, "leaving": leaving}
    change(registry, InferenceService, ids["service"], **failed)
    assert (await api.patch(path, {"desired_state": "deployed"})).status_code == 200
    assert control.orders[-1].leaving == ()


async def test_a_deleted_service_is_undeployed_first(api, path, control):
    answer = await api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    order = control.orders[-1]
    assert (order.wanted, order.forget) == (None, True)
    assert [w.name for w in order.leaving] == [control.deployed[-1].name]
    assert (await api.get(path)).status_code == 404


async def test_an_undeployed_service_is_deleted_at_once(api, path, control):
    await api.patch(path, {"desired_state": "undeployed"})
    asked = len(control.orders)
    assert (await api.delete(path)).status_code == 204
    assert len(control.orders) == asked


async def test_a_cluster_that_does_not_let_go_is_told_and_the_call_may_be_repeated(
    api, ids, path, control
):
    control.holds = True
    answer = await api.delete(path)
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:tidegate:problem:not-yet")
    assert control.deployed[-1].name in answer.json()["detail"]
    control.holds = False
    assert (await api.delete(path)).status_code == 204


async def test_a_cluster_that_refuses_to_let_go_is_told(api, path, control):
    control.refusal = "deletion is forbidden"
    answer = await api.delete(path)
    assert (answer.status_code, answer.json()["type"]) == (502, "urn:tidegate:problem:refused")
    assert "deletion is forbidden" in answer.json()["detail"]
    assert (await api.get(path)).json()["current_state"] == "failed"


async def test_a_traffic_config_of_several_versions_names_its_stable_one(api, ids, control):
    body = service_of(ids, name="both", model_version_ids=[ids["v1"], ids["v2"]])
    service = (await api.made("/inference_services", body))["id"]
    for stable in ({}, {"stable_version_id": ids["v3"]}):
        answer = await api.post("/traffic_configs", {"inference_service_id": service, **stable})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "stable_version_id"
    wish = {"inference_service_id": service, "stable_version_id": ids["v2"]}
    config = await api.made("/traffic_configs", wish)
    (variant,) = config["variants"]
    assert variant["model_version_name"] == "v2"
    assert variant["kserve_isvc_name"] != control.deployed[-1].name


async def test_a_traffic_config_needs_a_service_that_is_deployed(api, ids, path):
    await api.patch(path, {"desired_state": "undeployed"})
    answer = await api.post("/traffic_configs", {"inference_service_id": ids["idle"]})
    assert answer.status_code == 409
    assert "undeployed" in answer.json()["detail"]
