"""Two projects never meet: to each, what the other has does not exist."""

from uuid import uuid4

import pytest

from tests.api.caller import canary, service_of

LISTS = [
    "/registered_models",
    "/model_versions",
    "/serving_environments",
    "/inference_services",
    "/traffic_configs",
    "/rollouts",
    "/virtual_models",
]


@pytest.fixture
async def ids(api):
    made = await api.served()
    rollout = await api.made(f"/traffic_configs/{made['config']}/rollouts", canary(made["v2"]))
    virtual = await api.made("/virtual_models", {"name": f"claude-{uuid4()}"})
    backends = f"/virtual_models/{virtual['name']}/backends"
    virtual = await api.made(backends, {"ai_service_backend_name": "aws"})
    return {
        **made,
        "rollout": rollout["id"],
        "virtual": virtual["name"],
        "backend": virtual["backends"][0]["id"],
    }


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_shows_nothing_of_another_project(api, stranger, ids, path):
    assert (await api.get(path)).json()["total"] > 0
    listed = (await stranger.get(path)).json()
    assert (listed["items"], listed["total"]) == ([], 0)


def _calls(ids):
    """Every call that names a thing: method, path, body."""
    yield "GET", f"/registered_models/{ids['model']}", None
    yield "GET", f"/registered_models/{ids['model']}/versions", None
    version = {"name": "v9", "uri": "s3://a/b", "model_format": "vLLM"}
    yield "POST", f"/registered_models/{ids['model']}/versions", version
    yield "GET", f"/model_versions/{ids['v1']}", None
    yield "GET", f"/serving_environments/{ids['environment']}", None
    yield "GET", f"/inference_services/{ids['service']}", None
    for path in (
        f"/registered_models/{ids['model']}",
        f"/model_versions/{ids['v3']}",
        f"/serving_environments/{ids['environment']}",
        f"/inference_services/{ids['service']}",
    ):
        yield "PATCH", path, {"description": "mine"}
        yield "DELETE", path, None
    for change in ({"desired_state": "undeployed"}, {"model_version_ids": [ids["v2"]]}):
        yield "PATCH", f"/inference_services/{ids['service']}", change
    yield "GET", f"/traffic_configs/{ids['config']}", None
    yield "POST", "/traffic_configs", {"inference_service_id": ids["service"]}
    yield "POST", f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"])
    yield "POST", f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"], dry_run=True)
    yield "GET", f"/rollouts/{ids['rollout']}", None
    yield "GET", f"/rollouts/{ids['rollout']}/events", None
    yield "GET", f"/rollouts/{ids['rollout']}/events?follow=true", None
    yield "GET", f"/metrics/deployments/{ids['service']}", None
    yield "GET", f"/metrics/compare/{ids['service']}", None
    yield "GET", f"/metrics/compare?inference_service={ids['service']}", None
    for action in ("promote", "abort", "pause", "resume"):
        yield "POST", f"/rollouts/{ids['rollout']}/{action}", {}
    virtual = f"/virtual_models/{ids['virtual']}"
    yield "GET", virtual, None
    yield "PATCH", virtual, {"description": "mine"}
    yield "DELETE", virtual, None
    yield "GET", f"{virtual}/backends", None
    yield "POST", f"{virtual}/backends", {"ai_service_backend_name": "gcp"}
    yield "PATCH", f"{virtual}/backends/{ids['backend']}", {"weight": 2}
    yield "DELETE", f"{virtual}/backends/{ids['backend']}", None


async def test_what_another_project_has_is_answered_as_if_it_did_not_exist(stranger, ids, control):
    unknown = {name: str(uuid4()) for name in ids}
    for theirs, nobodys in zip(_calls(ids), _calls(unknown), strict=True):
        answers = [await stranger.call(m, path, json=body) for m, path, body in (theirs, nobodys)]
        assert [a.status_code for a in answers] == [404, 404], theirs
        known, missing = (a.json()["detail"] for a in answers)
        for name, mine in ids.items():
            known, missing = known.replace(mine, name), missing.replace(unknown[name], name)
        assert known == missing
    assert control.commands == []


@pytest.mark.parametrize("borrowed", ["environment", "model", "v1"])
async def test_a_service_cannot_borrow_from_another_project(api, stranger, ids, borrowed):
    own = await stranger.served()
    mixed = {**own, borrowed: ids[borrowed]}
    body = service_of(mixed, name="borrowed")
    assert (await stranger.post("/inference_services", body)).status_code == 404


async def test_a_service_cannot_be_changed_to_a_version_of_another_project(stranger, ids):
    own = await stranger.served()
    path = f"/inference_services/{own['service']}"
    for versions in ([ids["v2"]], [own["v1"], ids["v2"]]):
        answer = await stranger.patch(path, {"model_version_ids": versions})
        assert answer.status_code == 404


async def test_a_filter_finds_nothing_of_another_project(stranger, ids):
    for path in (
        "/registered_models?name=chat",
        "/model_versions?name=v1",
        f"/model_versions?registered_model_id={ids['model']}",
        "/serving_environments?name=prod",
        "/inference_services?name=chat",
        f"/inference_services?registered_model_id={ids['model']}",
        f"/inference_services?serving_environment_id={ids['environment']}",
        "/inference_services?desired_state=deployed&current_state=deployed",
    ):
        assert (await stranger.get(path)).json()["total"] == 0


async def test_a_rollout_cannot_borrow_a_version_of_another_project(stranger, ids):
    own = await stranger.served()
    path = f"/traffic_configs/{own['config']}/rollouts"
    assert (await stranger.post(path, canary(ids["v2"]))).status_code == 404


async def test_a_key_of_one_project_is_free_in_another(api, stranger, ids):
    own = await stranger.served()
    headers = {"Idempotency-Key": "k"}
    first = await api.post(
        f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"]), headers=headers
    )
    other = await stranger.post(
        f"/traffic_configs/{own['config']}/rollouts", canary(own["v2"]), headers=headers
    )
    assert (first.status_code, other.status_code) == (409, 201)


async def test_both_may_use_the_same_names(api, stranger, ids):
    assert (await stranger.served()).keys() <= ids.keys()
