"""Every refusal is a problem of RFC 9457, whoever refuses."""

from uuid import uuid4

import httpx
import pytest

import domain.errors
from api import errors as api_errors
from api.problems import TABLE, kind_of
from domain.errors import TidegateError, Unreachable
from tests.api.caller import PREFIX

FIELDS = {"type", "title", "status", "detail", "instance"}


def _is_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() >= FIELDS
    assert body["status"] == status
    assert body["instance"] == answer.request.url.path
    return body


async def test_a_missing_project_is_a_400_that_says_so(http):
    body = _is_problem(await http.get(f"{PREFIX}/registered_models"), 400)
    assert body["errors"] == [{"field": "Project-ID", "rule": "is required"}]
    assert "Project-ID" in body["detail"]


async def test_a_malformed_project_is_a_400_that_says_so(http):
    answer = await http.get(f"{PREFIX}/registered_models", headers={"Project-ID": "acme"})
    body = _is_problem(answer, 400)
    assert body["errors"][0]["field"] == "Project-ID"
    assert "UUID" in body["errors"][0]["rule"]


async def test_a_malformed_id_in_the_path_is_a_400(api):
    body = _is_problem(await api.get("/registered_models/seven"), 400)
    assert body["errors"][0]["field"] == "model_id"


async def test_what_the_framework_refuses_is_a_problem_too(http, api):
    _is_problem(await http.get("/nowhere"), 404)
    wrong = await http.delete(f"{PREFIX}/registered_models")
    _is_problem(wrong, 405)
    assert wrong.headers["allow"] == "GET, POST"
    _is_problem(await api.call("POST", "/registered_models", content=b"{"), 422)


async def test_malformed_json_is_a_400(api):
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b"\xff\xfe", b'{"name": ' + b"[" * 100_000):
        answer = await api.call("POST", "/registered_models", content=content, headers=headers)
        _is_problem(answer, 400)


async def test_a_body_that_is_not_sent_as_json_is_told_so(api):
    headers = {"Content-Type": "text/plain"}
    content = b'{"name": "chat"}'
    answer = await api.call("POST", "/registered_models", content=content, headers=headers)
    (error,) = _is_problem(answer, 422)["errors"]
    assert error == {"field": "body", "rule": "must be JSON, sent as application/json"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"\\ud800": 1}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\u0000"}',
        b'["name"]',
        b"",
    ],
)
async def test_text_that_is_no_text_is_refused(api, content):
    headers = {"Content-Type": "application/json"}
    answer = await api.call("POST", "/registered_models", content=content, headers=headers)
    _is_problem(answer, 422)


async def test_a_filter_that_nothing_can_be_called_is_refused(api):
    _is_problem(await api.get("/registered_models?name=%00"), 422)


async def test_a_slash_too_many_is_no_route(api):
    _is_problem(await api.get("/registered_models/"), 404)


async def test_a_body_that_is_too_large_is_a_413(api):
    answer = await api.post("/registered_models", {"name": "x", "description": "y" * 2_000_000})
    _is_problem(answer, 413)


async def test_all_broken_rules_are_told_at_once(api):
    body = {"name": "", "uri": "x", "model_format": "a b", "surprise": True}
    answer = await api.post(f"/registered_models/{uuid4()}/versions", body)
    told = {e["field"]: e["rule"] for e in _is_problem(answer, 422)["errors"]}
    assert told.keys() == {"name", "uri", "model_format", "surprise"}
    assert told["surprise"] == "is not known"
    assert told["uri"] == "must be a URI with a scheme, such as s3://bucket/model"


async def test_a_flood_of_mistakes_is_answered_in_brief(api):
    body = {f"field_{i}": i for i in range(1000)}
    answer = await api.post("/registered_models", body)
    assert len(_is_problem(answer, 422)["errors"]) == 50


async def test_an_outage_of_the_database_tells_no_internals(api, outage):
    outage.error = Unreachable("db-7.internal:5432 refused user tidegate")
    answer = await api.get("/registered_models")
    body = _is_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"
    assert "db-7" not in answer.text
    assert "database" in body["detail"]


async def test_a_bug_is_a_500_that_tells_no_internals(app, outage):
    outage.error = RuntimeError("the secret is 42")
    quiet = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=quiet, base_url="http://api.test") as http:
        answer = await http.get(f"{PREFIX}/registered_models", headers={"Project-ID": str(uuid4())})
    _is_problem(answer, 500)
    assert "secret" not in answer.text


def _errors(base):
    for error in base.__subclasses__():
        yield error
        yield from _errors(error)


@pytest.mark.parametrize("error", sorted(set(_errors(TidegateError)), key=str))
def test_every_error_has_a_row_in_the_table(error):
    if error.__module__ not in {domain.errors.__name__, api_errors.__name__}:
        pytest.skip("not one of ours")
    abstract = {domain.errors.PermanentError, domain.errors.TransientError}
    if error not in abstract:
        assert any(ancestor in TABLE for ancestor in error.__mro__)


def test_the_nearest_ancestor_decides():
    assert kind_of(domain.errors.FencedOut()).slug == "fenced-out"
    assert kind_of(api_errors.EngineUnreachable()).slug == "engine-unreachable"
    assert kind_of(domain.errors.TransientError()).status == 500
