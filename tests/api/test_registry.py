"""Models, versions, environments and services: created, listed, found, and only in one project."""

from uuid import UUID, uuid4

import pytest

from api.errors import EngineUnreachable
from domain.names import workload_name
from domain.registry import InferenceService, ServiceState
from tests.api.caller import service_of
from tests.api.staging import change


async def test_a_created_model_is_found_under_its_id(api):
    made = await api.made("/registered_models", {"name": "chat", "description": "talks"})
    found = await api.get(f"/registered_models/{made['id']}")
    assert found.status_code == 200
    assert found.json() == made
    assert made["name"] == "chat"


async def test_a_second_model_of_the_same_name_is_a_conflict(api):
    await api.made("/registered_models", {"name": "chat"})
    again = await api.post("/registered_models", {"name": "chat"})
    assert again.status_code == 409
    assert again.json()["type"] == "urn:tidegate:problem:already-exists"


async def test_a_list_tells_where_it_goes_on_until_its_end(api):
    for i in range(5):
        await api.made("/registered_models", {"name": f"m{i}"})
    first = (await api.get("/registered_models?limit=3")).json()
    assert (len(first["items"]), first["total"], first["page_size"]) == (3, 5, 3)
    assert first["next_offset"] == 3
    last = (await api.get("/registered_models?limit=3&offset=3")).json()
    assert len(last["items"]) == 2
    assert last["next_offset"] is None
    beyond = (await api.get("/registered_models?offset=50")).json()
    assert (beyond["items"], beyond["next_offset"]) == ([], None)


async def test_a_page_holds_20_items_unless_told_otherwise(api):
    for i in range(21):
        await api.made("/registered_models", {"name": f"m{i}"})
    listed = (await api.get("/registered_models")).json()
    assert (len(listed["items"]), listed["page_size"], listed["next_offset"]) == (20, 20, 20)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "limit=many"])
async def test_a_page_out_of_bounds_is_refused_by_name(api, query):
    answer = await api.get(f"/registered_models?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


async def test_versions_are_listed_under_their_model_and_by_themselves(api):
    ids = await api.served()
    under = (await api.get(f"/registered_models/{ids['model']}/versions")).json()
    alone = (await api.get(f"/model_versions?registered_model_id={ids['model']}")).json()
    assert under == alone
    assert {v["name"] for v in under["items"]} == {"v1", "v2", "v3"}
    one = (await api.get(f"/model_versions/{ids['v2']}")).json()
    assert (one["name"], one["uri"], one["model_format"]) == ("v2", "sim://chat-v2", "vLLM")


async def test_a_version_of_an_unknown_model_is_not_found(api):
    body = {"name": "v1", "uri": "s3://a/b", "model_format": "vLLM"}
    assert (await api.post(f"/registered_models/{uuid4()}/versions", body)).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uri", "no-scheme"),
        ("uri", "s3://with space"),
        ("model_format", "a b"),
        ("runtime", "No_Object"),
        ("name", ""),
        ("name", " padded"),
        ("name", "nul\x00"),
        ("description", "nul\x00"),
    ],
)
async def test_a_version_that_breaks_a_rule_is_refused_by_field(api, field, value):
    model = (await api.made("/registered_models", {"name": "chat"}))["id"]
    body = {"name": "v1", "uri": "s3://a/b", "model_format": "vLLM", field: value}
    answer = await api.post(f"/registered_models/{model}/versions", body)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "Not A Label"}, "name"),
        ({"name": "fine", "external_id": "UPPER"}, "external_id"),
        ({"name": "x" * 64}, "name"),
    ],
)
async def test_a_namespace_must_be_a_label(api, body, field):
    answer = await api.post("/serving_environments", body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert "RFC 1123 label" in error["rule"]


async def test_the_namespace_is_the_external_id_where_there_is_one(api):
    named = await api.made("/serving_environments", {"name": "prod"})
    mapped = await api.made(
        "/serving_environments", {"name": "Prod of Berlin", "external_id": "ns-1"}
    )
    assert (named["namespace"], mapped["namespace"]) == ("prod", "ns-1")


async def test_a_service_is_deployed_under_a_name_of_its_own(api, control):
    ids = await api.served()
    (workload,) = control.deployed
    assert workload.name == workload_name("chat", "v1", UUID(ids["service"]), UUID(ids["v1"]))
    assert (workload.namespace, workload.uri) == ("prod", "sim://chat-v1")
    service = (await api.get(f"/inference_services/{ids['service']}")).json()
    assert (service["desired_state"], service["current_state"]) == ("deployed", "deployed")


@pytest.mark.parametrize("name", ["Chat", "x" * 54, "-chat", "chat.v1"])
async def test_a_service_name_leaves_room_for_kserve(api, name):
    ids = await api.served()
    answer = await api.post("/inference_services", service_of(ids, name=name))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "name"
    assert "at most 53 characters" in error["rule"]


async def test_a_service_takes_a_version_of_its_own_model_only(api):
    ids = await api.served()
    other = (await api.made("/registered_models", {"name": "other"}))["id"]
    body = service_of(ids, name="mixed", registered_model_id=other)
    answer = await api.post("/inference_services", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "model_version_ids"


async def test_nothing_is_stored_when_nobody_could_deploy_it(api, control):
    ids = await api.served()
    control.outage(EngineUnreachable())
    answer = await api.post("/inference_services", service_of(ids, name="later"))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (await api.get("/inference_services")).json()["total"] == 1


async def test_a_repeat_deploys_what_was_stored_and_never_deployed(api, control, registry):
    ids = await api.served()
    control.fail("serve", EngineUnreachable())
    body = service_of(ids, name="second")
    assert (await api.post("/inference_services", body)).status_code == 503
    again = await api.made("/inference_services", body)
    assert [w.service_id for w in control.deployed][-1] == UUID(again["id"])
    change(registry, InferenceService, again["id"], current_state=ServiceState.DEPLOYED)
    assert (await api.post("/inference_services", body)).status_code == 409
