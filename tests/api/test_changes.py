"""What is registered is patched and deleted: field by field, and never under somebody's feet."""

from uuid import uuid4

import pytest

from tests.api.caller import service_of


@pytest.fixture
async def ids(api):
    return await api.served()


def paths_of(ids):
    return {
        "model": f"/registered_models/{ids['model']}",
        "version": f"/model_versions/{ids['v3']}",
        "environment": f"/serving_environments/{ids['environment']}",
        "service": f"/inference_services/{ids['service']}",
    }


KINDS = ["model", "version", "environment", "service"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_description_is_changed_alone_and_tells_when(api, ids, kind):
    path = paths_of(ids)[kind]
    before = (await api.get(path)).json()
    answer = await api.patch(path, {"description": "new words"})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, "description": "new words", "updated_at": after["updated_at"]}
    assert (await api.get(path)).json() == after


@pytest.mark.parametrize("kind", KINDS)
async def test_an_empty_patch_changes_nothing(api, ids, kind):
    path = paths_of(ids)[kind]
    before = (await api.get(path)).json()
    assert (await api.patch(path, {})).json() == before
    assert (await api.get(path)).json() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change", [{"description": None}, {"description": "x" * 2001}, {"id": "x"}, {"odd": 1}]
)
async def test_a_change_that_breaks_a_rule_is_refused_by_field(api, ids, kind, change):
    answer = await api.patch(paths_of(ids)[kind], change)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == list(change)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("version", ["name", "uri", "model_format", "runtime"]),
        ("service", ["name", "serving_environment_id", "registered_model_id"]),
    ],
)
async def test_what_is_immutable_is_refused_with_the_reason(api, ids, kind, fields):
    answer = await api.patch(paths_of(ids)[kind], {**dict.fromkeys(fields, "x"), "description": ""})
    assert answer.status_code == 422
    errors = {e["field"]: e["rule"] for e in answer.json()["errors"]}
    assert list(errors) == fields
    assert all("cannot be changed" in rule for rule in errors.values())


async def test_a_model_is_renamed_unless_the_name_is_taken(api, ids):
    path = paths_of(ids)["model"]
    assert (await api.patch(path, {"name": "talk"})).json()["name"] == "talk"
    await api.made("/registered_models", {"name": "taken"})
    answer = await api.patch(path, {"name": "taken"})
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:tidegate:problem:already-exists",
    )
    assert (await api.patch(path, {"name": None})).status_code == 422


@pytest.mark.parametrize("change", [{"name": "other"}, {"external_id": "other"}])
async def test_a_namespace_in_use_stays_and_its_user_is_named(api, ids, change):
    answer = await api.patch(paths_of(ids)["environment"], change)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidegate:problem:in-use")
    assert f"inference service 'chat' ({ids['service']})" in answer.json()["detail"]


async def test_a_free_environment_takes_another_namespace(api):
    made = await api.made("/serving_environments", {"name": "free", "external_id": "ns-1"})
    path = f"/serving_environments/{made['id']}"
    assert (await api.patch(path, {"name": "Free Fields"})).json()["namespace"] == "ns-1"
    assert (await api.patch(path, {"external_id": "ns-2"})).json()["namespace"] == "ns-2"
    refused = await api.patch(path, {"external_id": None})
    assert [e["field"] for e in refused.json()["errors"]] == ["name"]
    freed = await api.patch(path, {"external_id": None, "name": "free"})
    assert (freed.json()["external_id"], freed.json()["namespace"]) == (None, "free")


@pytest.mark.parametrize("external_id", ["UPPER", "a.b", "x" * 64])
async def test_a_namespace_that_is_no_label_is_refused(api, external_id):
    made = await api.made("/serving_environments", {"name": "free"})
    answer = await api.patch(f"/serving_environments/{made['id']}", {"external_id": external_id})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "external_id")


async def test_a_change_that_meets_another_one_is_made_upon_it(api, ids, outage):
    """Somebody writes between our reading and our writing: both changes are there in the end."""
    path = paths_of(ids)["model"]
    outage.then("model", lambda: api.patch(path, {"name": "renamed"}))
    after = (await api.patch(path, {"description": "described"})).json()
    assert (after["name"], after["description"]) == ("renamed", "described")


async def test_of_two_wishes_at_once_one_wins_and_the_other_is_told(api, ids, outage, control):
    idle = await api.made("/inference_services", service_of(ids, name="idle"))
    path = f"/inference_services/{idle['id']}"
    control.holds = True
    outage.then("service", lambda: api.patch(path, {"model_version_ids": [ids["v2"]]}))
    late = await api.patch(path, {"desired_state": "undeployed"})
    assert (late.status_code, late.json()["type"]) == (409, "urn:tidegate:problem:already-running")
    service = (await api.get(path)).json()
    assert (service["desired_state"], service["current_state"]) == ("deployed", "deploying")
    assert [one["model_version_name"] for one in service["served_models"]] == ["v2"]


@pytest.mark.parametrize(
    ("kind", "user"),
    [
        ("model", "model version 'v"),
        ("used version", "inference service 'chat' ("),
        ("environment", "inference service 'chat' ("),
        ("service", "traffic config of 'chat' ("),
    ],
)
async def test_what_is_in_use_is_not_deleted_and_the_user_is_named(api, ids, kind, user):
    paths = {**paths_of(ids), "used version": f"/model_versions/{ids['v1']}"}
    answer = await api.delete(paths[kind])
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidegate:problem:in-use")
    assert f"is still used by {user}" in answer.json()["detail"]
    assert (await api.get(paths[kind])).status_code == 200


async def test_what_nothing_uses_is_deleted(api, ids):
    model = (await api.made("/registered_models", {"name": "other"}))["id"]
    environment = (await api.made("/serving_environments", {"name": "other"}))["id"]
    for path in (
        f"/registered_models/{model}",
        f"/model_versions/{ids['v3']}",
        f"/serving_environments/{environment}",
    ):
        answer = await api.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await api.delete(path)).status_code == 404
        assert (await api.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path", ["registered_models", "model_versions", "serving_environments", "inference_services"]
)
async def test_what_was_never_there_can_be_neither_changed_nor_deleted(api, path):
    url = f"/{path}/{uuid4()}"
    assert (await api.patch(url, {"description": "x"})).status_code == 404
    assert (await api.delete(url)).status_code == 404
    assert (await api.patch(f"/{path}/no-id", {})).status_code == 400


async def test_lists_can_be_narrowed(api, ids):
    await api.made("/inference_services", service_of(ids, name="second"))
    await api.patch(paths_of(ids)["service"], {"description": "the first"})
    for query, total in (
        ("/registered_models?name=chat", 1),
        ("/registered_models?name=none", 0),
        ("/model_versions?name=v2", 1),
        (f"/registered_models/{ids['model']}/versions?name=v2", 1),
        (f"/model_versions?registered_model_id={uuid4()}", 0),
        ("/serving_environments?name=prod", 1),
        ("/inference_services?name=second", 1),
        (f"/inference_services?registered_model_id={ids['model']}", 2),
        (f"/inference_services?serving_environment_id={uuid4()}", 0),
        ("/inference_services?desired_state=deployed", 2),
        ("/inference_services?current_state=undeploying", 0),
    ):
        assert (await api.get(query)).json()["total"] == total, query
    for query in ("desired_state=failed", "current_state=odd"):
        assert (await api.get(f"/inference_services?{query}")).status_code == 422
