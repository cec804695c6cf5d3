"""Two projects never meet: to each, what the other has does not exist."""

from collections import defaultdict
from uuid import uuid4

import pytest

from domain.rollout import Action
from tests.api.caller import PREFIX, canary, service_of
from tests.api.tour import operations_of

LISTS = [
    "/registered_models",
    "/model_versions",
    "/serving_environments",
    "/inference_services",
    "/traffic_configs",
    "/operations",
    "/rollouts",
    "/virtual_models",
    "/freeze_windows",
    "/rollout_groups",
    "/gate_templates",
]
# Belongs to no project: what anybody writes here is there for all.
SHARED = "/global/"
# Answers about a whole project that are no list of things.
SUMS = ["/metrics/compare", "/metrics/tokens"]
TEMPLATE = {"name": "slo", "gates": [{"name": "errors", "metric": "error_rate", "limit": 0.02}]}
WEEK = {"days": ["friday"], "starts": "18:00", "ends": "08:00"}
# Names of things in the cluster, which are no project's: the operator allows them.
FREE = {"ai_service_backend_id", "external_id"}
# Which of our things a parameter or a field may name.
NAMES = {
    "environment_id": "environment",
    "inference_service_id": "service",
    "model_version_id": "v2",
    "model_version_ids": "v2",
    "registered_model_id": "model",
    "serving_environment_id": "environment",
    "stable_version_id": "v1",
    "subject_id": "config",
    "rollout_id": "rollout",
    "target_version_id": "v2",
    "traffic_config_id": "config",
}
RANGE = {"from": "2026-11-27T00:00:00Z", "to": "2026-11-27T01:00:00Z"}
# What a body names a thing by otherwise.
INSTEAD = {"rollout_id": ("traffic_config_id", "candidate_slot", *RANGE)}


@pytest.fixture
async def ids(api):
    made = await api.served()
    config = f"/traffic_configs/{made['config']}"
    done = await api.post(f"{config}/canary", {"model_version_id": made["v3"]})
    await api.post(f"{config}/rollback")
    rollout = await api.made(f"/traffic_configs/{made['config']}/rollouts", canary(made["v2"]))
    virtual = await api.made("/virtual_models", {"name": f"claude-{uuid4()}"})
    backends = f"/virtual_models/{virtual['name']}/backends"
    virtual = await api.made(backends, {"ai_service_backend_name": "aws"})
    window = await api.made("/freeze_windows", {"name": f"easter-{uuid4()}", "weekly": WEEK})
    group = await api.made("/rollout_groups", {"name": f"gpu-{uuid4()}", "limit": 1})
    template = await api.made("/gate_templates", {**TEMPLATE, "name": f"slo-{str(uuid4())[:8]}"})
    return {
        **made,
        "template": template["name"],
        "window": window["id"],
        "group": group["name"],
        "operation": done.json()["operation"]["id"],
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
    yield "POST", "/traffic_configs", {"inference_service_id": ids["service"]}
    yield from _traffic_calls(f"/traffic_configs/{ids['config']}", ids["v2"])
    yield "GET", f"/operations/{ids['operation']}", None
    yield "POST", f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"])
    yield "POST", f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"], dry_run=True)
    yield "GET", f"/rollouts/{ids['rollout']}", None
    yield "GET", f"/rollouts/{ids['rollout']}/events", None
    yield "GET", f"/rollouts/{ids['rollout']}/events?follow=true", None
    yield "GET", f"/rollouts/{ids['rollout']}/evidence", None
    yield "GET", f"/metrics/deployments/{ids['service']}", None
    yield "GET", f"/metrics/compare/{ids['service']}", None
    yield "GET", f"/metrics/compare?inference_service={ids['service']}", None
    for action in Action:
        yield "POST", f"/rollouts/{ids['rollout']}/{action}", {}
    for again in ("retry", "restart"):
        yield "POST", f"/rollouts/{ids['rollout']}/{again}", {}
    virtual = f"/virtual_models/{ids['virtual']}"
    yield from _fleet_calls(ids)
    yield from _template_calls(f"/gate_templates/{ids['template']}")
    yield "GET", virtual, None
    yield "PATCH", virtual, {"description": "mine"}
    yield "DELETE", virtual, None
    yield "GET", f"{virtual}/backends", None
    yield "POST", f"{virtual}/backends", {"ai_service_backend_name": "gcp"}
    yield "PATCH", f"{virtual}/backends/{ids['backend']}", {"weight": 2}
    yield "DELETE", f"{virtual}/backends/{ids['backend']}", None


def _fleet_calls(ids):
    window, group = f"/freeze_windows/{ids['window']}", f"/rollout_groups/{ids['group']}"
    for path, change in ((window, {"reason": "mine"}), (group, {"limit": 2})):
        yield "GET", path, None
        yield "PATCH", path, change
        yield "DELETE", path, None


def _template_calls(template):
    yield "GET", template, None
    yield "GET", f"{template}?version=1", None
    yield "GET", f"{template}/versions", None
    yield "PATCH", template, {"retired": True}


def _traffic_calls(config, version):
    yield "GET", config, None
    yield "PATCH", config, {"paused": True}
    yield "DELETE", config, None
    yield "GET", f"{config}/variants", None
    variant = {"variant_name": "b", "model_version_id": version, "weight": 10}
    yield "POST", f"{config}/variants", variant
    yield "GET", f"{config}/variants/stable", None
    yield "PATCH", f"{config}/variants/canary", {"weight": 20}
    yield "DELETE", f"{config}/variants/canary", None
    yield "PATCH", f"{config}/weights", {"weights": {"canary": 20}}
    yield "POST", f"{config}/promote/canary", None
    yield "POST", f"{config}/rollback", None
    yield "POST", f"{config}/canary", {"model_version_id": version}
    yield "PATCH", f"{config}/canary/weight", {"weight": 20}
    yield "POST", f"{config}/canary/promote", None


@pytest.fixture
def ours(app):
    """The operations of the document under our prefix."""
    found = [o for o in operations_of(app.openapi()) if o.path.startswith(PREFIX)]
    return [o for o in found if not o.path.startswith(PREFIX + SHARED)]


def test_no_operation_that_names_a_thing_is_left_out(ours):
    ids: defaultdict[str, str] = defaultdict(lambda: str(uuid4()))
    tried = {(m, f"{PREFIX}{path.partition('?')[0]}") for m, path, _ in _calls(ids)}
    for operation in ours:
        if operation.parameters("path"):
            assert any(
                m == operation.method and operation.arguments(path) is not None for m, path in tried
            ), operation.id


def test_no_list_is_left_out(ours):
    known = {f"{PREFIX}{path}" for path in (*LISTS, *SUMS)}
    assert {o.path for o in ours if o.method == "GET" and not o.parameters("path")} == known


async def test_what_another_project_has_is_answered_as_if_it_did_not_exist(stranger, ids, control):
    begun = list(control.operations)
    unknown = {name: str(uuid4()) for name in ids}
    for theirs, nobodys in zip(_calls(ids), _calls(unknown), strict=True):
        answers = [await stranger.call(m, path, json=body) for m, path, body in (theirs, nobodys)]
        assert [a.status_code for a in answers] == [404, 404], theirs
        known, missing = (a.json()["detail"] for a in answers)
        for name, mine in ids.items():
            known, missing = known.replace(mine, name), missing.replace(unknown[name], name)
        assert known == missing
    assert (control.commands, control.operations) == ([], begun)


async def test_no_filter_by_id_finds_anything_of_another_project(api, stranger, ids, ours):
    tried = 0
    for operation in ours:
        path = operation.path.removeprefix(PREFIX)
        for name in operation.parameters("query"):
            if path in LISTS and name.endswith("_id"):
                found, hidden = [
                    (await caller.get(path, params={name: ids[NAMES[name]]})).json()["total"]
                    for caller in (api, stranger)
                ]
                assert found > 0, (path, name)
                assert hidden == 0, (path, name)
                tried += 1
    assert tried


async def test_the_sums_of_a_project_count_nothing_of_another(stranger, ids):
    tokens = (await stranger.get("/metrics/tokens")).json()
    assert tokens["groups"] == []
    assert not tokens["totals"]["total_tokens"]
    answer = await stranger.get("/metrics/compare?variant=stable&variant=canary")
    assert answer.status_code == 422  # no traffic config of the project has them
    assert "chat" not in answer.text


async def test_no_body_can_borrow_a_thing_of_another_project(stranger, ids, ours, app):
    """Each id that a body may name, in a call that is good but for it."""
    own = await stranger.served()
    schemas = app.openapi()["components"]["schemas"]
    config = f"/traffic_configs/{own['config']}"
    bodies = {
        "add_variant": {"variant_name": "b", "model_version_id": own["v2"]},
        "change_inference_service": {"model_version_ids": [own["v2"]]},
        "create_inference_service": service_of(own, name="borrowed"),
        "create_traffic_config": {"inference_service_id": own["service"]},
        "start_canary": {"model_version_id": own["v2"]},
        "start_rollout": canary(own["v2"]),
        "backtest": {"traffic_config_id": own["config"], "candidate_slot": 1, **RANGE},
        "plan_analysis": canary(own["v2"], traffic_config_id=own["config"]),
    }
    for operation in ours:
        content = operation.spec.get("requestBody", {}).get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        for field in schemas.get(reference.rpartition("/")[2], {}).get("properties", {}):
            # The stable version is looked for among those that the service serves: 422, below.
            if not field.endswith(("_id", "_ids")) or field in {*FREE, "stable_version_id"}:
                continue
            theirs = ids[NAMES[field]]
            good = {
                k: v for k, v in bodies[operation.id].items() if k not in INSTEAD.get(field, ())
            }
            body = good | {field: [theirs] if field.endswith("s") else theirs}
            path = operation.path.removeprefix(PREFIX).format(
                config_id=own["config"], service_id=own["service"]
            )
            answer = await stranger.call(operation.method, path, json=body)
            assert answer.status_code == 404, (operation.id, field, answer.text)
    await stranger.delete(config)
    wish = {"inference_service_id": own["service"], "stable_version_id": ids["v1"]}
    assert (await stranger.post("/traffic_configs", wish)).status_code == 422


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
