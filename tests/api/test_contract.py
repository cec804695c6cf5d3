"""The OpenAPI document: complete, and true to what the API does."""

import json
import re
import subprocess
import sys
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.rollout import Action
from tests.api.caller import PREFIX, Caller, canary, service_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
WITH_BODY = {"POST", "PATCH"}
ODD = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@pytest.fixture
def document(app):
    return app.openapi()


class Documented:
    """A client that holds each answer against the document."""

    def __init__(self, http, document):
        self._http = http
        self._known = [
            (method, re.compile(re.sub(r"{\w+}", "[^/]+", path)), operation["responses"])
            for method, path, operation in _operations(document)
        ]

    async def request(self, method, url, **options):
        answer = await self._http.request(method, url, **options)
        path = answer.request.url.path
        responses = next(r for m, p, r in self._known if m == method and p.fullmatch(path))
        assert str(answer.status_code) in responses, (method, path, answer.status_code)
        content = responses[str(answer.status_code)].get("content", {})
        media = answer.headers.get("content-type", "").split(";")[0]
        assert media in content or not (media or content), (path, media)
        return answer


@pytest.fixture
def checked(http, document):
    return Caller(Documented(http, document))


def test_every_operation_is_described(document):
    for method, path, operation in _operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert "500" in operation["responses"], where
        if path.startswith(PREFIX):
            header = [p for p in operation["parameters"] if p["name"] == "Project-ID"]
            assert header[0]["required"], where
            assert header[0]["schema"]["format"] == "uuid", where
            assert {"400", "503"} <= operation["responses"].keys(), where


def test_every_error_is_a_problem_with_its_schema(document):
    for method, path, operation in _operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                content = response["content"]["application/problem+json"]
                assert content["schema"]["$ref"].endswith("/Problem"), (method, path, status)
                assert response["description"]


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in schemas, name
    assert set(schemas["Problem"]["required"]) == {"type", "title", "status", "detail", "instance"}


def test_operations_have_names_of_their_own(document):
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)


def test_the_document_is_printed_without_servers_or_settings():
    done = subprocess.run(
        [sys.executable, "-m", "api", "openapi"],
        check=True,
        capture_output=True,
        env={"PYTHONPATH": "."},
        timeout=60,
    )
    assert json.loads(done.stdout)["info"]["title"] == "Tidegate"


async def test_what_is_answered_is_documented(checked, document):
    ids = await checked.served()
    path = f"/traffic_configs/{ids['config']}/rollouts"
    rollout = (await checked.made(path, canary(ids["v2"])))["id"]
    await checked.post(path, canary(ids["v3"]))
    await checked.post(path, canary(ids["v2"], dry_run=True))
    await checked.post(path, canary(ids["v2"], steps=[]))
    for url in (f"/rollouts/{rollout}", f"/rollouts/{rollout}/events", f"/rollouts/{uuid4()}"):
        await checked.get(url)
    for action in Action:
        await checked.post(f"/rollouts/{rollout}/{action}", {})
        await checked.post(f"/rollouts/{rollout}/{action}", {"actor": ""})
    for again in ("retry", "restart"):
        await checked.post(f"/rollouts/{rollout}/{again}", {})
    for method, template, _ in _operations(document):
        if template.startswith(PREFIX):
            body: dict[str, str] | None = {} if method in WITH_BODY else None
            url = re.sub(r"{\w+}", "not-an-id", template.removeprefix(PREFIX))
            await checked.call(method, url, json=body)
            url = re.sub(r"{\w+}", str(uuid4()), template.removeprefix(PREFIX))
            await checked.call(method, f"{url}?limit=-1", json=body)


async def test_what_is_answered_to_changes_is_documented(checked):
    ids = await checked.served()
    paths = [
        f"/registered_models/{ids['model']}",
        f"/model_versions/{ids['v1']}",
        f"/serving_environments/{ids['environment']}",
        f"/inference_services/{ids['service']}",
    ]
    for path in paths:
        assert (await checked.call("DELETE", path)).status_code == 409
        assert (await checked.call("PATCH", path, json={})).status_code == 200
        assert (await checked.call("PATCH", path, json={"odd": 1})).status_code == 422
    body = {**service_of(ids), "name": "second", "model_version_ids": [ids["v3"], ids["v2"]]}
    second = f"/inference_services/{(await checked.made('/inference_services', body))['id']}"
    for change in ({"desired_state": "undeployed"}, {"model_version_ids": [ids["v3"]]}):
        assert (await checked.call("PATCH", second, json=change)).status_code == 200
    assert (await checked.call("DELETE", second)).status_code == 204
    assert (await checked.call("DELETE", f"/model_versions/{ids['v3']}")).status_code == 204


@ODD
@given(body=JSON)
async def test_no_body_however_odd_is_our_fault(checked, document, body):
    for method, template, _ in _operations(document):
        if method in WITH_BODY:
            url = re.sub(r"{\w+}", str(uuid4()), template.removeprefix(PREFIX))
            answer = await checked.call(
                method,
                url,
                content=json.dumps(body).encode(errors="surrogatepass"),
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code < 500, answer.text


@ODD
@given(data=st.data())
async def test_no_rollout_however_odd_is_our_fault(checked, data):
    if not hasattr(checked, "ids"):
        checked.ids = await checked.served()
    body = canary(checked.ids["v2"], dry_run=True)
    body["gates"] = [{"name": "g", "metric": "latency", "slow_over_ms": 250, "limit": 0.1}]
    body["policies"] = {"drain_seconds": 1}
    spots = [body, body["steps"][0], body["gates"][0], body["policies"]]
    spot = data.draw(st.sampled_from(spots))
    field = data.draw(st.sampled_from(sorted(spot)))
    odd = data.draw(JSON | st.floats() | st.integers(min_value=10**15) | st.just("\x00"))
    spot[field] = odd
    answer = await checked.call(
        "POST",
        f"/traffic_configs/{checked.ids['config']}/rollouts",
        content=json.dumps(body).encode(errors="surrogatepass"),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code < 500, answer.text


@ODD
@given(query=st.text(max_size=30), value=st.text(max_size=30) | st.integers().map(str))
async def test_no_query_however_odd_is_our_fault(checked, document, query, value):
    for method, template, operation in _operations(document):
        if method == "GET" and template.startswith(PREFIX) and "{" not in template:
            for parameter in operation["parameters"]:
                if parameter["in"] == "query":
                    params = httpx.QueryParams({query: value, parameter["name"]: value})
                    answer = await checked.get(template.removeprefix(PREFIX), params=params)
                    assert answer.status_code < 500, answer.text
