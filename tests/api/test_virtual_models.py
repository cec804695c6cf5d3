"""Virtual models over HTTP: names, backends, statuses, and what an undone change answers."""

from uuid import uuid4

import pytest

from domain.operations import Ending, OperationPhase

AWS = {
    "ai_service_backend_id": "aws-anthropic-backend",
    "model_name_override": "anthropic.claude-sonnet-4-20250514-v1:0",
    "weight": 50,
    "priority": 0,
}
GCP = {
    "ai_service_backend_name": "gcp-anthropic-backend",
    "model_name_override": "claude-sonnet-4@20250514",
    "weight": 50,
    "priority": 0,
}


@pytest.fixture
async def claude(api):
    body = {"name": "claude-4-sonnet", "description": "across providers"}
    return await api.made("/virtual_models", body)


BACKENDS = "/virtual_models/claude-4-sonnet/backends"


def fields(answer):
    return [error["field"] for error in answer.json()["errors"]]


async def test_a_new_one_is_empty(api, claude):
    assert claude["status"] == "empty"
    assert claude["backends"] == []
    assert claude["namespace"] == "tidegate"
    assert claude["ai_gateway_route_name"].startswith("vm-")
    assert (await api.get("/virtual_models/claude-4-sonnet")).json() == claude
    listed = (await api.get("/virtual_models")).json()
    assert (listed["items"], listed["total"]) == ([claude], 1)
    assert (await api.get("/virtual_models?name=other")).json()["items"] == []


@pytest.mark.parametrize("name", ["meta/llama-3.1", "Qwen3:8b", "a@2"])
async def test_a_name_may_hold_slashes_and_versions(api, name):
    made = await api.made("/virtual_models", {"name": name})
    for path in (name, name.replace("/", "%2F")):
        assert (await api.get(f"/virtual_models/{path}")).json() == made
    added = await api.post(f"/virtual_models/{name}/backends", GCP)
    assert added.status_code == 201
    listed = await api.get(f"/virtual_models/{name}/backends")
    assert listed.json()["total"] == 1


@pytest.mark.parametrize("name", ["", "two words", "a/backends", "/a", "-a", "x" * 201])
async def test_a_name_that_nobody_could_ask_for_is_a_400(api, name):
    answer = await api.post("/virtual_models", {"name": name})
    assert (answer.status_code, fields(answer)) == (400, ["name"])


async def test_a_taken_name_is_a_409_that_tells_nothing_of_its_owner(api, stranger, claude):
    for caller in (api, stranger):
        answer = await caller.post("/virtual_models", {"name": "claude-4-sonnet"})
        assert answer.status_code == 409
        assert answer.json()["detail"] == (
            "the virtual model 'claude-4-sonnet': its name is taken on this gateway already"
        )


async def test_the_description_can_change_and_the_name_cannot(api, claude):
    path = "/virtual_models/claude-4-sonnet"
    answer = await api.call("PATCH", path, json={"description": "two providers"})
    assert answer.json()["description"] == "two providers"
    answer = await api.call("PATCH", path, json={"name": "other", "description": ""})
    assert (answer.status_code, fields(answer)) == (422, ["name"])


async def test_usage_example_4(api, claude):
    first = await api.post(BACKENDS, AWS)
    second = await api.post(BACKENDS, GCP)
    assert (first.status_code, second.status_code) == (201, 201)

    model = second.json()
    assert model["status"] == "active"
    assert [
        (one["ai_service_backend_name"], one["model_name_override"], one["weight"], one["status"])
        for one in model["backends"]
    ] == [
        ("aws-anthropic-backend", AWS["model_name_override"], 50, "active"),
        ("gcp-anthropic-backend", GCP["model_name_override"], 50, "active"),
    ]
    assert {one["ai_service_backend_namespace"] for one in model["backends"]} == {"tidegate"}


async def test_usage_example_5(api):
    await api.made("/virtual_models", {"name": "gpt-5-nano"})
    path = "/virtual_models/gpt-5-nano/backends"
    primary = {"ai_service_backend_id": "openai-backend", "weight": 100, "priority": 0}
    fallback = {
        "ai_service_backend_id": "openai-backend",
        "model_name_override": "gpt-5-nano-mini",
        "weight": 0,
        "priority": 1,
    }
    await api.made(path, primary)
    model = await api.made(path, fallback)
    assert [
        (one["model_name_override"], one["weight"], one["priority"], one["status"])
        for one in model["backends"]
    ] == [(None, 100, 0, "active"), ("gpt-5-nano-mini", 0, 1, "active")]


async def test_weight_and_priority_have_defaults(api, claude):
    model = await api.made(BACKENDS, {"ai_service_backend_name": "aws"})
    (backend,) = model["backends"]
    assert (backend["weight"], backend["priority"]) == (1, 0)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"weight": 1}, 422, "body"),
        ({"ai_service_backend_name": "a", "ai_service_backend_id": "b"}, 422, "body"),
        ({"ai_service_backend_name": "a", "weight": "much"}, 422, "weight"),
        ({"ai_service_backend_name": "a", "model": "x"}, 422, "model"),
        ({"ai_service_backend_name": "a", "weight": -1}, 400, "weight"),
        ({"ai_service_backend_name": "a", "weight": 1_000_001}, 400, "weight"),
        ({"ai_service_backend_name": "a", "weight": 0}, 400, "weight"),
        ({"ai_service_backend_name": "a", "priority": -1}, 400, "priority"),
        ({"ai_service_backend_name": "A_B"}, 400, "ai_service_backend_name"),
        (
            {"ai_service_backend_name": "a", "ai_service_backend_namespace": "a.b"},
            400,
            "ai_service_backend_namespace",
        ),
        ({"ai_service_backend_name": "a", "model_name_override": ""}, 400, "model_name_override"),
    ],
)
async def test_a_bad_backend_names_the_field_and_the_rule(api, claude, body, status, field):
    answer = await api.post(BACKENDS, body)
    assert (answer.status_code, fields(answer)) == (status, [field])


async def test_both_names_of_the_backend_may_be_given_when_they_agree(api, claude):
    both = {"ai_service_backend_name": "aws", "ai_service_backend_id": "aws"}
    assert (await api.post(BACKENDS, both)).status_code == 201


async def test_the_same_backend_under_the_same_name_is_a_409(api, claude):
    await api.made(BACKENDS, AWS)
    assert (await api.post(BACKENDS, AWS)).status_code == 409
    assert (await api.post(BACKENDS, {**AWS, "model_name_override": "other"})).status_code == 201


async def test_a_backend_changes_in_what_is_given(api, claude):
    made = await api.made(BACKENDS, AWS)
    path = f"{BACKENDS}/{made['backends'][0]['id']}"

    answer = await api.call("PATCH", path, json={"weight": 7})
    (backend,) = answer.json()["backends"]
    assert answer.status_code == 200
    assert (backend["weight"], backend["model_name_override"]) == (7, AWS["model_name_override"])
    answer = await api.call("PATCH", path, json={"model_name_override": None, "priority": 3})
    (backend,) = answer.json()["backends"]
    assert (backend["weight"], backend["priority"], backend["model_name_override"]) == (7, 3, None)


async def test_a_change_to_what_is_so_asks_nobody(api, claude, control):
    made = await api.made(BACKENDS, AWS)
    begun = len(control.operations)
    path = f"{BACKENDS}/{made['backends'][0]['id']}"
    answer = await api.call("PATCH", path, json={"weight": 50})
    assert (answer.status_code, answer.json()) == (200, made)
    assert len(control.operations) == begun


async def test_a_backend_that_leaves_is_gone(api, claude):
    made = await api.made(BACKENDS, AWS)
    answer = await api.call("DELETE", f"{BACKENDS}/{made['backends'][0]['id']}")
    assert answer.status_code == 200
    assert (answer.json()["backends"], answer.json()["status"]) == ([], "empty")


async def test_a_deleted_model_is_gone(api, claude):
    await api.made(BACKENDS, AWS)
    answer = await api.call("DELETE", "/virtual_models/claude-4-sonnet")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.get("/virtual_models/claude-4-sonnet")).status_code == 404
    await api.made("/virtual_models", {"name": "claude-4-sonnet"})


async def test_what_does_not_exist_is_a_404(api, claude):
    nobody = f"{BACKENDS}/{uuid4()}"
    for method, path, body in (
        ("GET", "/virtual_models/none", None),
        ("PATCH", "/virtual_models/none", {"description": ""}),
        ("DELETE", "/virtual_models/none", None),
        ("GET", "/virtual_models/none/backends", None),
        ("POST", "/virtual_models/none/backends", AWS),
        ("PATCH", nobody, {"weight": 1}),
        ("DELETE", nobody, None),
    ):
        answer = await api.call(method, path, json=body)
        assert answer.status_code == 404, (method, path)


@pytest.mark.parametrize("path", ["/virtual_models/a%00b", "/virtual_models?name=a%00b"])
async def test_a_name_with_control_characters_cannot_be_asked_for(api, path):
    assert (await api.get(path)).status_code in (400, 422)


async def test_a_method_that_a_path_does_not_have_is_a_405(api, claude):
    assert (await api.call("DELETE", BACKENDS)).status_code == 405
    assert (await api.post("/virtual_models/claude-4-sonnet", {})).status_code == 405


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        ("InvalidTraffic", 400),
        ("Forbidden", 403),
        ("Conflict", 409),
        ("FencedOut", 409),
        ("Refused", 502),
        ("Unreachable", 503),
        ("NotSettled", 504),
    ],
)
async def test_an_undone_change_answers_why_and_has_changed_nothing(
    api, claude, control, problem, status
):
    detail = "ai_service_backend_name: there is no AIServiceBackend 'aws' in namespace 'tidegate'"
    control.ending = Ending(phase=OperationPhase.UNDONE, problem=problem, detail=detail)
    answer = await api.post(BACKENDS, AWS)
    assert answer.status_code == status
    assert "there is no AIServiceBackend" in answer.json()["detail"]
    if status == 400:
        assert answer.json()["errors"] == [
            {
                "field": "ai_service_backend_name",
                "rule": "there is no AIServiceBackend 'aws' in namespace 'tidegate'",
            }
        ]
    assert (await api.get("/virtual_models/claude-4-sonnet")).json()["backends"] == []
